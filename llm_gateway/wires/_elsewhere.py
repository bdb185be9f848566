"""What a piece that only one format understands says in the others: its information in plain parts.

A format's ``elsewhere`` reads its own pieces; a piece that no format can read is told as it is
written, without what no model can read.
"""

from __future__ import annotations

import re
from typing import Any

from llm_gateway.core import json
from llm_gateway.core.chat import Part, Text
from llm_gateway.wires._format import elsewhere

# Tokens for a provider's own eyes, and notes that mean something to a host only.
_UNREADABLE = frozenset(
    (
        "signature", "thoughtSignature", "thought_signature", "encrypted_content", "encrypted_index", "encrypted_stdout", "cache_control",
        "citations", "partMetadata", "caller",
    )
)  # fmt: skip
_BASE64 = re.compile(r"[A-Za-z0-9+/_=-]{200,}")
_MOST_CHARS = 20_000


def parts_elsewhere(wire: str, raw: dict[str, Any], asked: bool) -> tuple[Part, ...]:
    """Never nothing: what stood there is told, or at least that something did."""
    read = elsewhere.get(wire)(raw, asked) if wire in elsewhere else None
    return read or (Text(text=as_written(raw)),)


def as_written(raw: dict[str, Any]) -> str:
    """``[kind] {…}``: the piece as JSON, without tokens and bytes."""
    kind = raw.get("type")
    rest = {name: _readable(value) for name, value in raw.items() if name != "type" and name not in _UNREADABLE}
    head = f"[{kind}]" if isinstance(kind, str) else ""
    body = shortened(json.dumps(rest).decode()) if rest else ""
    return f"{head} {body}".strip() or "[empty]"


def shortened(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}… [{len(text) - _MOST_CHARS} more characters]"


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _readable(one) for name, one in value.items() if name not in _UNREADABLE}
    if isinstance(value, list):
        return [_readable(one) for one in value]
    if isinstance(value, str) and _BASE64.fullmatch(value):
        return f"[{len(value)} characters of base64]"
    return value
