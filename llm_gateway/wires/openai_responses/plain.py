"""What an item says that only its own format understands, in words that every model reads.

A history cannot be taken back by its user: what another provider has no item for arrives there as
text.
"""

from __future__ import annotations

from typing import Any, Final

from llm_gateway.core.chat import Part, Text
from llm_gateway.core.json import dumps

from .names import summary_of

# Ids and tokens mean something to the provider that made them only.
_MEANINGLESS: Final = frozenset({"type", "id", "status", "encrypted_content", "created_by", "execution"})
_MOST: Final = 20_000
_MOST_DATA: Final = 200
_MOST_BASE64: Final = 2000


def parts_in_plain_words(item: dict[str, Any], asked: bool) -> tuple[Part, ...]:
    """See ``elsewhere`` of :class:`~llm_gateway.wires.Format`: every item can be told."""
    return (Text(text=plain_words(item)),)


def plain_words(item: dict[str, Any]) -> str:
    """One item or content part as text."""
    kind = item.get("type")
    if (summary := summary_of(item)) is not None:
        return summary
    told = {name: _short(value) for name, value in item.items() if name not in _MEANINGLESS and value not in (None, "", [], {})}
    if not told:
        return f"[{kind}: known only to the provider that made it]"
    text = next(iter(told.values())) if len(told) == 1 else None
    said = text if isinstance(text, str) else dumps(told).decode()
    return f"[{kind}] {said[:_MOST]}{'…' if len(said) > _MOST else ''}"


def _short(value: Any) -> Any:
    """Without the bytes of pictures and files, which are no text."""
    match value:
        case str() if len(value) > _MOST_DATA and value.startswith("data:"):
            return f"{value.partition(',')[0]} ({len(value)} characters)"
        case str() if len(value) > _MOST_BASE64 and not any(mark in value[:_MOST_BASE64] for mark in " \n"):
            return f"({len(value)} characters)"
        case dict():
            return {name: _short(one) for name, one in value.items()}
        case list():
            return [_short(one) for one in value]
    return value
