"""JSON at the boundary: strict in, compact out.

What a caller sends is refused unless it is plain UTF-8 JSON of bounded depth with each key once (reliability.md T6):
a parser that disagrees with the provider's about a duplicate key or NaN would route one request and send another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

MAX_DEPTH = 64
MAX_DIGITS = 40

# Possessive and open-ended, so that no input makes it slow.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class InvalidJson(ValueError):
    """The bytes are not JSON we accept; the message names the rule and holds nothing of the input."""


def loads(body: bytes) -> Any:
    """Decode strict JSON. Raises :class:`InvalidJson`."""
    check(body)
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidJson(_plain(error)) from None


def check(body: bytes) -> None:
    """Refuse what a typed decode would let through: duplicate keys, depth, endless digits, lone surrogates."""
    if not body.strip():
        raise InvalidJson("the body is empty; send a JSON object")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        # Every pass takes the innermost level away.
        brackets = _STRINGS.sub(b"", body).translate(_BRACKETS, _NOT_BRACKETS)
        for _ in range(MAX_DEPTH):
            brackets = brackets.replace(b"[]", b"")
        if b"[]" in brackets:
            raise InvalidJson(f"nested deeper than {MAX_DEPTH} levels")
    if _LONG_NUMBER.search(body) and _LONG_NUMBER.search(_STRINGS.sub(b"", body)):
        raise InvalidJson(f"a number has more than {MAX_DIGITS} digits")
    try:
        if _as_written(body):
            return
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, UnicodeEncodeError) as error:
        raise InvalidJson(_plain(error)) from None
    _slow_check(body)


def _as_written(body: bytes) -> bool:
    # Decoding and encoding drops a duplicate key, so an unchanged text proves there is none; other spellings of the same value
    # (escapes, 1E6) change it too and only cost the slow check.
    return msgspec.json.format(body, indent=-1) == _encoder.encode(_decoder.decode(body))


def _slow_check(body: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise InvalidJson("an object has the same key twice")
        return found

    def refuse(name: str) -> Any:
        raise InvalidJson(f"{name} is not JSON")

    try:
        decoded = json.loads(body.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
        if _SURROGATE.search(body):
            json.dumps(decoded, ensure_ascii=False).encode("utf-8")
    except InvalidJson:
        raise
    except UnicodeEncodeError:
        raise InvalidJson("a string holds half of a surrogate pair") from None
    except (ValueError, RecursionError) as error:
        raise InvalidJson(_plain(error)) from None


def _plain(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH} levels"
    if isinstance(error, UnicodeError):
        return "not valid UTF-8"
    return str(error)[:200]


def lenient(body: bytes) -> Any:
    """Decode what a provider sent, or ``None`` when it is not JSON at all."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return _encoder.encode(value)


def edit_object(body: bytes, changes: Mapping[str, Any], drop: tuple[str, ...] = ()) -> bytes:
    """Set or drop top-level fields of a JSON object; every other field keeps its bytes and its place.

    ``changes`` maps a field to a JSON-able value. Raises :class:`InvalidJson` when the body is no object.
    """
    try:
        fields = _raw_object.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidJson(_plain(error)) from None
    for name in drop:
        fields.pop(name, None)
    for name, value in changes.items():
        fields[name] = msgspec.Raw(_encoder.encode(value))
    return _encoder.encode(fields)
