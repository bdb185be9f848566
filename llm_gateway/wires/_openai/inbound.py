"""What both OpenAI dialects read alike from a caller's body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from llm_gateway.core.errors import UnsupportedParameter

_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])

# What one picture adds to the prompt estimate, in characters: about a thousand tokens.
IMAGE_CHARS = 4000
AFFINITY_CHARS = 256


def fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Every top-level field of an object that was decoded before, undecoded."""
    return _raw_object.decode(body)


def unknown(body: bytes, known: Iterable[str]) -> dict[str, Any]:
    """The top-level fields outside ``known`` that are not ``null``."""
    return {name: value for name, raw in fields(body).items() if name not in known and (value := msgspec.json.decode(raw)) is not None}


def value_of(raw: msgspec.Raw | None) -> Any:
    return msgspec.json.decode(raw) if raw is not None and bytes(raw) else None


def refuse_other_origin(extras: Mapping[str, Any], target: str) -> None:
    """Extras belong to the caller's dialect; a wire of another family cannot send them and must not
    swallow them."""
    for name in extras:
        raise UnsupportedParameter(f"`{name}` cannot be sent to a provider that speaks {target}; leave it out.", param=name)


def split_data_url(url: str) -> tuple[str | None, str] | None:
    """Media type and base64 of a data URL, ``None`` for any other URL."""
    if not url.startswith("data:"):
        return None
    head, comma, data = url[5:].partition(",")
    if not comma:
        return None
    return head.split(";")[0] or None, data


def data_url(media_type: str | None, data: str, default: str) -> str:
    return f"data:{media_type or default};base64,{data}"


def document_chars(data: str | None) -> int:
    """A document's weight in the prompt estimate: base64 of PDF is mostly pictures and fonts,
    little of it becomes text."""
    return IMAGE_CHARS + len(data or "") // 8


def audio_chars(data: str | None) -> int:
    return 400 + len(data or "") // 200
