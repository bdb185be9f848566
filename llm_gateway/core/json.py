"""JSON at the boundary: strict in, compact out.

What a caller sends is refused unless it is plain UTF-8 JSON of bounded depth with each key once
(reliability.md T6): a parser that disagrees with the provider's about a duplicate key or NaN would
route one request and send another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

MAX_DEPTH = 64
MAX_DIGITS = 40
# Limits on a document's structure, so that a parser's time depends on its bytes alone (32 MB at
# most). A conversation of thousands of turns has a tenth of it; an embeddings request with as many
# tokens as OpenAI takes has 300,000 elements.
MAX_CONTAINERS = 50_000
MAX_KEYS = 60_000
MAX_MEMBERS = 350_000
MAX_ESCAPES = 2_000_000
# Bytes that are not JSON may hold millions of quotes, which would cost seconds.
MAX_STRINGS = MAX_KEYS + MAX_MEMBERS + MAX_CONTAINERS
MAX_OUTSIDE_STRINGS = 8 << 20

# Read in pieces so that other threads can run in between: a call into C holds the interpreter's
# lock until it returns.
_PIECE = 256 << 10
_SMALL = 32 << 10
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * (MAX_DIGITS + 1)
# Two bytes of it may lie in the next piece, so they are not asked for.
_SURROGATE = re.compile(rb"\\u(?:[dD]|\Z)")
_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]")
_HALF_A_PAIR = r"half of a surrogate pair (one of \ud800 to \udfff without its other half) is no character"

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_NOT_THE_SAME = object()
# Python's own writer puts a space behind each colon; there is no need to write such a body again to
# see that it differs.
_SPACE, _SHOWS_SPACES = b'": ', 64
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class InvalidJson(ValueError):
    """The bytes are not JSON we accept; the message names the rule and holds nothing of the
    input."""


def loads(body: bytes) -> Any:
    """Decode strict JSON. Raises :class:`InvalidJson`. A large body takes long enough to stall an
    event loop: call this from a thread."""
    if len(body) <= _SMALL and (value := _same_again(body)) is not _NOT_THE_SAME:
        return value
    return _counted(body)


def _counted(body: bytes) -> Any:
    """:func:`loads` of a body however it is written."""
    bare, surrogates = _outside_strings(body)
    if not bare and not body.strip():
        raise InvalidJson("the body is empty; send a JSON object")
    if bare.count(b"[") + bare.count(b"{") > MAX_DEPTH:
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
        if surrogates:
            _encoder.encode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        half = isinstance(error, UnicodeEncodeError) or (surrogates and _HALF.search(body))
        raise InvalidJson(_HALF_A_PAIR if half else _plain(error)) from None
    # Every key has one colon outside the strings; of a key given twice, one is left once it is
    # decoded.
    if _keys_of(value) != bare.count(b":"):
        raise InvalidJson("an object has the same key twice")
    return value


def _same_again(body: bytes) -> Any:
    """The value of a small body that is written as we would write it, which nearly every SDK's is:
    then it has each key once, no half of a surrogate pair and no bytes that are no UTF-8. Of any
    other, :data:`_NOT_THE_SAME`, which says nothing about it."""
    # Brackets and digits inside strings are counted, too: too many send a body the long way, never
    # a bad one the short way.
    if _SPACE in body[:_SHOWS_SPACES] or body.count(b"[") + body.count(b"{") > MAX_DEPTH or _LONG_NUMBER in body.translate(_DIGITS):
        return _NOT_THE_SAME
    try:
        value = _decoder.decode(body)
        return value if _encoder.encode(value) == body else _NOT_THE_SAME
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _NOT_THE_SAME


def check(body: bytes) -> None:
    """Refuse what a typed decode would let through: duplicate keys, depth, endless digits."""
    loads(body)


def _outside_strings(body: bytes) -> tuple[bytes, bool]:
    """What stands between the strings, and whether one of them may hold half of a surrogate pair;
    of text that is no JSON, something of no meaning, in linear time. Raises :class:`InvalidJson` as
    soon as there is more of anything than a document may have."""
    outside: list[bytes] = []
    # A small document cannot exceed a limit.
    counts = _Counts() if len(body) > _SMALL else None
    inside = surrogates = False
    at = 0
    while at < len(body):
        piece = body[at : at + _PIECE]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            # Do not cut an escape in two.
            piece += body[at + len(piece) : at + len(piece) + 1]
        at += len(piece)
        if b"\\" in piece:
            if counts:
                counts.escapes += piece.count(b"\\")
            surrogates = surrogates or _SURROGATE.search(piece) is not None
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        if counts:
            counts.quotes += piece.count(b'"')
            counts.check_strings()
        parts = piece.split(b'"')
        found = b"".join(parts[inside::2])
        inside ^= len(parts) % 2 == 0
        if counts:
            counts.add(found)
        outside.append(found)
    return (outside[0] if len(outside) == 1 else b"".join(outside)), surrogates


class _Counts:
    """Counts of a document's elements so far."""

    def __init__(self) -> None:
        self.containers = self.keys = self.members = self.size = self.escapes = self.quotes = 0

    def check_strings(self) -> None:
        if self.quotes > 2 * MAX_STRINGS:
            raise InvalidJson(f"more than {MAX_STRINGS} strings")

    def add(self, outside: bytes) -> None:
        keys = outside.count(b":")
        self.containers += outside.count(b"[") + outside.count(b"{")
        self.keys += keys
        self.members += outside.count(b",")
        self.size += len(outside)
        for have, most, what in (
            (self.containers, MAX_CONTAINERS, "lists and objects"),
            (self.keys, MAX_KEYS, "keys"),
            (self.members, MAX_MEMBERS, "elements"),
            (self.size, MAX_OUTSIDE_STRINGS, "bytes outside its strings"),
            (self.escapes, MAX_ESCAPES, "escaped characters; write them as UTF-8"),
        ):
            if have > most:
                raise InvalidJson(f"more than {most} {what}")


def _keys_of(value: Any) -> int:
    keys = 0
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if type(one) is dict:
            keys += len(one)
            waiting += [inner for inner in one.values() if type(inner) is dict or type(inner) is list]
        elif type(one) is list:
            waiting += [inner for inner in one if type(inner) is dict or type(inner) is list]
    return keys


def _plain(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH} levels"
    if isinstance(error, UnicodeError):
        return "not valid UTF-8"
    return str(error)[:200]


def lenient(body: bytes) -> Any:
    """Decode what a provider sent, or ``None`` when it is not JSON at all. Hosts that cut text at
    token borders send invalid UTF-8 and half surrogate pairs; both become U+FFFD."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        try:
            value = json.loads(body.decode("utf-8-sig", "replace"))
            return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        except (ValueError, RecursionError):
            return None


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON. Half of a surrogate pair, which a provider may send and UTF-8 cannot,
    becomes U+FFFD."""
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


def with_text(body: bytes, name: str, text: str) -> bytes | None:
    """Set the text field ``name`` of an object and keep every other byte. ``None`` if a quick look
    cannot rule out a second field of that name: use :func:`edit_object`.

    The body is JSON that was read before and has the field. Quotes inside strings are escaped, so
    ``"name"`` is the whole of a key or of a string; of one that stands there once, without any
    escaped letters in the body, no other can be the field."""
    key = b'"%b"' % name.encode()
    at = body.find(key + b':"')
    if at < 0 or body.count(key) != 1 or b"\\u" in body:
        return None
    begin = at + len(key) + 1
    end = body.find(b'"', begin + 1) + 1
    if b"\\" in body[begin:end]:
        return None
    return b"".join((body[:begin], _encoder.encode(text), body[end:]))


def edit_object(body: bytes, changes: Mapping[str, Any], drop: tuple[str, ...] = ()) -> bytes:
    """Set or drop top-level fields of a JSON object; every other field keeps its bytes and its
    place.

    ``changes`` maps a field to a JSON-able value. Raises :class:`InvalidJson` when the body is no
    object.
    """
    try:
        fields = _raw_object.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidJson(_plain(error)) from None
    for name in drop:
        fields.pop(name, None)
    for name, value in changes.items():
        fields[name] = msgspec.Raw(_encoder.encode(value))
    # A join copies large fields five times as fast as an encoder, which would hold the
    # interpreter's lock meanwhile.
    parts = [part for name, value in fields.items() for part in (b",", _encoder.encode(name), b":", value)]
    return b"".join((b"{", *parts[1:], b"}"))
