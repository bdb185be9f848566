"""JSON at the boundary: strict in, compact out.

What a caller sends is refused unless it is plain UTF-8 JSON of bounded depth with each key once (reliability.md T6):
a parser that disagrees with the provider's about a duplicate key or NaN would route one request and send another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

MAX_DEPTH = 64
MAX_DIGITS = 40
# Each costs the garbage collector more than the parser: a megabyte of empty lists holds the loop for a fifth of a second.
MAX_CONTAINERS = 50_000

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * (MAX_DIGITS + 1)

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class InvalidJson(ValueError):
    """The bytes are not JSON we accept; the message names the rule and holds nothing of the input."""


def loads(body: bytes) -> Any:
    """Decode strict JSON. Raises :class:`InvalidJson`."""
    if not body.strip():
        raise InvalidJson("the body is empty; send a JSON object")
    bare = _without_strings(body)
    containers = bare.count(b"[") + bare.count(b"{")
    if containers > MAX_CONTAINERS:
        raise InvalidJson(f"more than {MAX_CONTAINERS} lists and objects")
    if containers > MAX_DEPTH:
        # Every pass takes the innermost level away.
        brackets = bare.translate(_BRACKETS, _NOT_BRACKETS)
        for _ in range(MAX_DEPTH):
            brackets = brackets.replace(b"[]", b"")
        if b"[]" in brackets:
            raise InvalidJson(f"nested deeper than {MAX_DEPTH} levels")
    if _LONG_NUMBER in bare.translate(_DIGITS):
        raise InvalidJson(f"a number has more than {MAX_DIGITS} digits")
    try:
        value = _decoder.decode(body)
        # Every key has one colon outside the strings. A key given twice is one key once it is decoded and encoded again.
        if _without_strings(_encoder.encode(value)).count(b":") != bare.count(b":"):
            raise InvalidJson("an object has the same key twice")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, UnicodeEncodeError) as error:
        raise InvalidJson(_plain(error)) from None
    return value


def check(body: bytes) -> None:
    """Refuse what a typed decode would let through: duplicate keys, depth, endless digits."""
    loads(body)


def _without_strings(body: bytes) -> bytes:
    """What stands between the strings; of text that is no JSON, something of no meaning, in linear time."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(body.split(b'"')[::2])


def _plain(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH} levels"
    if isinstance(error, UnicodeError):
        return "not valid UTF-8"
    return str(error)[:200]


def lenient(body: bytes) -> Any:
    """Decode what a provider sent, or ``None`` when it is not JSON at all. Bytes that are no UTF-8 and halves of a surrogate pair, which
    hosts that cut text at tokens send, become U+FFFD."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        try:
            value = json.loads(body.decode("utf-8-sig", "replace"))
            return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        except (ValueError, RecursionError):
            return None


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON. Half of a surrogate pair, which a provider may send and UTF-8 cannot, becomes U+FFFD."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_whole(msgspec.to_builtins(value, builtin_types=(msgspec.Raw,))))


def _whole(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case dict():
            return {_whole(name): _whole(one) for name, one in value.items()}
        case list() | tuple():
            return [_whole(one) for one in value]
    return value


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
