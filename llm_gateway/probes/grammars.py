"""tree-sitter: what a grammar cannot read. A snippet is tried as it is, then inside what its language wants around it."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

LONGEST = 256 << 10
# Language: (module, function, what is put around a snippet).
_GRAMMARS: dict[str, tuple[str, str, tuple[tuple[str, str], ...]]] = {
    "javascript": ("tree_sitter_javascript", "language", (("async function* _() {\n", "\n}"), ("class _ {\n", "\n}"))),
    "typescript": ("tree_sitter_typescript", "language_typescript", (("async function* _() {\n", "\n}"), ("class _ {\n", "\n}"))),
    "tsx": ("tree_sitter_typescript", "language_tsx", (("async function* _() {\n", "\n}"), ("class _ {\n", "\n}"))),
    "go": ("tree_sitter_go", "language", (("package p\n", ""), ("package p\nfunc _() {\n", "\n}"))),
    "java": ("tree_sitter_java", "language", (("class _ {\n", "\n}"), ("class _ { void _() {\n", "\n} }"))),
    "rust": ("tree_sitter_rust", "language", (("fn _x() {\n", "\n}"), ("impl X {\n", "\n}"))),
    "c": ("tree_sitter_c", "language", (("void _(void) {\n", "\n}"),)),
    "cpp": ("tree_sitter_cpp", "language", (("void _() {\n", "\n}"), ("class _ {\n", "\n};"))),
    "csharp": ("tree_sitter_c_sharp", "language", (("class _ {\n", "\n}"), ("class _ { void _() {\n", "\n} }"))),
    "ruby": ("tree_sitter_ruby", "language", (("def _\n", "\nend"), ("class X\n", "\nend"))),
    "php": ("tree_sitter_php", "language_php", (("<?php\n", ""), ("<?php\nclass _ {\n", "\n}"))),
    "bash": ("tree_sitter_bash", "language", ()),
    "python": ("tree_sitter_python", "language", ()),
}
LANGUAGES = tuple(sorted(_GRAMMARS))


def parse(language: str, tag: str, code: str) -> tuple[tuple[int, str], ...] | None:
    """(line, message) of what cannot be read, at most three; ``None``: no grammar of this language is here."""
    if len(code) > LONGEST or (parser := _parser("tsx" if tag.lower() in ("tsx", "jsx") else language)) is None:
        return None
    name, around = parser
    best: tuple[tuple[int, str], ...] | None = None
    for before, after in (("", ""), *around):
        if language == "php" and not before and "<?" not in code:
            continue  # without its mark, all of it is text to PHP
        found = _errors(name.parse((before + code + after).encode("utf-8", "replace")).root_node, before.count("\n"), code.count("\n") + 1)
        if not found:
            return ()
        best = found if best is None else best
    return best or ()


def _errors(root: Any, above: int, lines: int) -> tuple[tuple[int, str], ...]:
    if not root.has_error:
        return ()
    found: list[tuple[int, str]] = []
    cursor = [root]
    while cursor and len(found) < 3:
        node = cursor.pop()
        if node.is_error or node.is_missing:
            line = min(max(node.start_point[0] - above + 1, 1), lines)
            found.append((line, f"`{node.type}` is missing" if node.is_missing else "this cannot be read"))
        else:
            cursor += [child for child in reversed(node.children) if child.has_error or child.is_missing]
    return tuple(found) or ((1, "this cannot be read"),)


@cache
def _parser(language: str) -> tuple[Any, tuple[tuple[str, str], ...]] | None:
    known = _GRAMMARS.get(language)
    if known is None:
        return None
    module, function, around = known
    try:
        tree_sitter = importlib.import_module("tree_sitter")
        grammar = getattr(importlib.import_module(module), function)()
        return tree_sitter.Parser(tree_sitter.Language(grammar)), around
    except (ImportError, AttributeError, ValueError):
        return None
