"""Code taken out of an answer: fenced blocks, and what their tags mean."""

from __future__ import annotations

import re
from typing import Any

from ._base import MOST_BLOCKS, Block, Facts

# Also "python title=…" and "{.python}", which documentation writes.
_FENCE = re.compile(r"[ \t]*(?:[-*+>]|\d+[.)])?[ \t]*(`{3,}|~{3,})[ \t]*\{?\.?([^\s`{},]*)[^`\n]*$", re.MULTILINE)
_MARK = re.compile(r"```+|~~~+")

_NAMES = {
    "python": "py python3 py3 pycon",
    "javascript": "js jsx node mjs ecmascript",
    "typescript": "ts tsx",
    "go": "golang",
    "java": "",
    "rust": "rs",
    "c": "h",
    "cpp": "c++ cc cxx hpp",
    "csharp": "c# cs",
    "ruby": "rb",
    "php": "",
    "bash": "sh shell zsh",
    "json": "",
    "toml": "",
    "sql": "",
    "html": "",
    "css": "",
    "kotlin": "kt",
    "swift": "",
    "scala": "",
    "yaml": "yml",
    "xml": "",
    "text": "txt plaintext plain output console",
}
_CANONICAL = {name: canonical for canonical, others in _NAMES.items() for name in (canonical, *others.split())}
# Who asks for the first is well served with the second.
NEAR = {("javascript", "typescript"), ("typescript", "javascript"), ("c", "cpp"), ("cpp", "c")}


def language_of(tag: str | None) -> str:
    """The canonical name of a language, empty where the tag says nothing known."""
    return _CANONICAL.get((tag or "").strip().lower(), "")


def blocks_of(text: str) -> tuple[Block, ...]:
    """The fenced blocks of a text, in order, at most :data:`MOST_BLOCKS`. One that never closes runs to the end."""
    if "```" not in text and "~~~" not in text:
        return ()
    found: list[Block] = []
    opened: re.Match[str] | None = None
    for seen in _MARK.finditer(text):
        # The pattern is tried on lines that have a mark, and on no other.
        mark = _FENCE.match(text, text.rfind("\n", 0, seen.start()) + 1)
        if mark is None or mark.start(1) != seen.start():
            continue
        if opened is None:
            opened = mark
        elif mark[1][0] == opened[1][0] and len(mark[1]) >= len(opened[1]) and not mark[2]:
            found.append(_block(text, opened, mark.start(), closed=True))
            opened = None
            if len(found) == MOST_BLOCKS:
                return tuple(found)
    if opened is not None:
        found.append(_block(text, opened, len(text), closed=False))
    return tuple(found)


def facts_of(text: str, *, bare: bool = False, asked: str | None = None, **known: Any) -> Facts:
    """``bare``: the text is one snippet in the language asked for, unless it holds fences after all."""
    language = language_of(asked)
    blocks = blocks_of(text)
    if bare and not blocks:
        blocks = (Block(code=text, language=language, tag=(asked or "")[:40]),)
    else:
        bare = False
    return Facts(blocks=blocks, asked=language, bare=bare, **known)


def _block(text: str, opened: re.Match[str], end: int, *, closed: bool) -> Block:
    start = min(opened.end() + 1, end)
    return Block(
        code=text[start:end],
        language=language_of(opened[2]),
        tag=opened[2][:40],
        line=text.count("\n", 0, start) + 1,
        closed=closed,
    )
