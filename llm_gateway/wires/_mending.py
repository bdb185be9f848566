"""A provider's JSON as a type, though a detail of it is odd."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from llm_gateway.core import json

T = TypeVar("T")

_AT = re.compile(r" - at `\$\.?(?P<path>.*)`$")
_STEP = re.compile(r"(?P<name>[^.\[\]]+)|\[(?P<at>\d+)\]")
_MOST = 32


def decode(
    data: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], spare: frozenset[str], read: Callable[[bytes], Any] = json.lenient
) -> T:
    """``data`` with broken text mended, as ``read`` does it, and without the fields named in
    ``spare`` that have another type than the decoder's.

    Raises :class:`msgspec.DecodeError` for any other fault.
    """
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = read(bytes(data))
    for _ in range(_MOST):
        try:
            return decoder.decode(json.dumps(value))
        except msgspec.ValidationError as error:
            if not _left_out(value, str(error), spare):
                raise
    raise msgspec.DecodeError("too many odd fields")


def _left_out(value: Any, error: str, spare: frozenset[str]) -> bool:
    """Drop the outermost spare field on the way to the fault."""
    match = _AT.search(error)
    for step in _STEP.finditer(match["path"]) if match else ():
        name, at = step["name"], step["at"]
        if isinstance(value, dict) and name in spare and name in value:
            del value[name]
            return True
        try:
            value = value[int(at)] if at else value[name]
        except (KeyError, IndexError, TypeError):
            return False
    return False
