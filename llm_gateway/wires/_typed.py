"""Typed reading of what a caller sent: every refusal names the field's JSON path."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from llm_gateway.core import json
from llm_gateway.core.errors import InvalidJsonBody, InvalidRequest

T = TypeVar("T")

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<path>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"(?:required|unknown) field `(?P<name>[^`]+)`")


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """A caller's body. Raises :class:`InvalidJsonBody` for what is not the JSON we accept,
    :class:`InvalidRequest` for a wrong type."""
    try:
        json.check(body)
        return decoder.decode(body)
    except json.InvalidJson as error:
        raise InvalidJsonBody(f"The body cannot be read: {error}") from None
    except msgspec.ValidationError as error:
        raise refusal(error) from None


def load(body: bytes) -> dict[str, Any]:
    """A caller's body as a plain object, for a format whose fields need renaming before they have
    types."""
    try:
        return convert(json.loads(body), dict[str, Any], "")
    except json.InvalidJson as error:
        raise InvalidJsonBody(f"The body cannot be read: {error}") from None


def convert(value: Any, wanted: type[T], path: str) -> T:
    """A decoded value as ``wanted``; ``path`` is where it lies in the body."""
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise refusal(error, path) from None


def refusal(error: msgspec.ValidationError, base: str = "") -> InvalidRequest:
    match = _AT.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    if field := _FIELD.search(what):
        path = f"{path}.{field['name']}" if path else field["name"]
    if base and path:
        path = base + path if path.startswith("[") else f"{base}.{path}"
    param = path or base
    return InvalidRequest(f"{param}: {what}." if param else f"The body: {what}.", param=param or None)
