"""When two questions are nearly the same: the same words in the same order. Pure.

Only what carries no meaning is folded: white space, the case of plain words, punctuation behind
words, greetings and thanks. Numbers, signs, identifiers, paths, quotes and code stay as they are.
It uses no similarity measure: those that match paraphrases also match "turn on" with "turn off"
(docs/cache.md has the figures).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from llm_gateway.core.chat import ChatRequest, Text

LONGEST: Final = 4_000

_VERBATIM = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|«[^»]*»", re.DOTALL)
_GREETING = re.compile(
    r"\A\s*(?:(?:hi|hello|hey|good (?:morning|afternoon|evening))(?: there)?\s*[,!.]\s*)?(?:please\b,?\s*)?", re.IGNORECASE
)
_THANKS = re.compile(r"(?:,\s*please\s*[.!]*)?(?:[.,!]?\s*\b(?:(?:many )?thanks(?: in advance)?|thank you)\s*[.!]*)?\s*\Z", re.IGNORECASE)
# What stands apart at the end of a line, as the French set it.
_ENDS: Final = frozenset({".", "!", "?"})
_QUOTES = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "\u00ad": None})
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*\Z")
_INDENTED = re.compile(r"^(?: {2,}|\t)\S", re.MULTILINE)
# Words whose meaning changes with a capital letter.
_CASE_TELLS: Final = frozenset({
    "polish", "turkey", "china", "march", "may", "august", "apple", "amazon", "java", "swift", "go", "rust", "oracle", "windows",
    "word", "excel", "meta", "target", "ruby", "chrome", "lean", "nice", "reading", "mobile", "job", "earth", "mercury", "mars",
    "saturn", "jordan", "chad", "georgia", "cologne", "bath", "perl", "sage", "slack", "teams", "notion", "linear",
})  # fmt: skip


def folded(text: str) -> str | None:
    """What is equal for nearly the same questions; ``None``: too long or empty. Of a text that is
    indented outside of fences, which may be code, only the ends are folded."""
    text = unicodedata.normalize("NFC", text).translate(_QUOTES).strip()
    if not text or len(text) > LONGEST:
        return None
    if _INDENTED.search(_VERBATIM.sub("", text)):
        return text
    text = _GREETING.sub("", text, count=1)
    lines: list[str] = []
    at = 0
    for match in _VERBATIM.finditer(text):
        lines += _words(text[at : match.start()], first=not at)
        lines.append(match[0])
        at = match.end()
    lines += _words(_THANKS.sub("", text[at:], count=1), first=not at)
    return "\n".join(lines) if lines else None


def _words(text: str, *, first: bool) -> list[str]:
    shouted = text.upper() == text and text.lower() != text
    words: list[str] = []
    for line in text.splitlines():
        chunks = line.split()
        if chunks and chunks[-1] in _ENDS:
            chunks.pop()
        for chunk in chunks:
            words.append(_word(chunk, shouted, first and not words))
    return words


def _word(chunk: str, shouted: bool, first: bool) -> str:
    bare = chunk.strip("()[],.;:").rstrip("?!")
    if _WORD.match(bare):
        plain = bare.lower()
        if shouted or bare == plain or (bare == plain.capitalize() and (first or plain not in _CASE_TELLS)):
            return plain
        return bare
    return chunk.rstrip(",.;:") or chunk


def only_text(chat: ChatRequest | None) -> str | None:
    """The one question of a conversation that is nothing else: a user's single text, perhaps after
    system text, without tools."""
    if chat is None or chat.tools or chat.n > 1 or not chat.messages:
        return None
    *before, last = chat.messages
    if any(message.role != "system" for message in before) or last.role != "user" or len(last.parts) != 1:
        return None
    (part,) = last.parts
    return part.text if isinstance(part, Text) else None


def with_folded(body: Mapping[str, Any], text: str, instead: str) -> dict[str, Any] | None:
    """The request with the question folded; ``None`` where it does not stand in it exactly once."""
    count = 0

    def walk(value: Any) -> Any:
        nonlocal count
        if isinstance(value, dict):
            return {name: walk(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        if value == text and isinstance(value, str):
            count += 1
            return instead
        return value

    folded_body = walk(body)
    return folded_body if count == 1 and isinstance(folded_body, dict) else None
