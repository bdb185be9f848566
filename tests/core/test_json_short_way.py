"""A small body that is written as we would write it is read a shorter way: the verdict is the long way's, whatever comes."""

from __future__ import annotations

import json as stdlib
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_gateway.core import json
from llm_gateway.core.json import MAX_DEPTH, MAX_DIGITS, InvalidJson, loads

# Pieces of strings: escapes in each spelling, whole and half surrogate pairs, what looks like structure.
_TEXT = (
    "a", "model", "ü", "\U0001f600", "\\u00e9", "\\u0061", "\\n", "\\\\", '\\"', "\\/", "\\ud83d\\ude00", "\\ud83d", "\\ude00", "\\uD800",
    "{[", '\\": ', "0" * (MAX_DIGITS + 1), "\x00", "\x7f", "\\u0000", "\\u001f", "\\b", "\\q", "\\u12",
)  # fmt: skip
_NUMBERS = (
    "0", "-0", "1", "-1", "1.0", "1e5", "1E5", "1e+5", "0.1", "0.10", "1e400", "1e-400", "01", "1.", "NaN", "Infinity", "-", "1e22", "1e16",
    str(2**63), str(2**64), str(-(2**63) - 1), "9" * MAX_DIGITS, "9" * (MAX_DIGITS + 1), "0." + "3" * MAX_DIGITS, "0." + "3" * 20,
)  # fmt: skip


def _write(draw: random.Random, depth: int) -> str:
    """A document, mostly valid and mostly compact: a wrong one has to be as likely as one that is hard to tell."""
    gap = draw.choice(("", "", "", "", "", " ", "\n", "\t"))
    kind = draw.randrange(8) if depth else draw.randrange(4)
    if kind < 2:
        return _string(draw)
    if kind == 2:
        return draw.choice(_NUMBERS)
    if kind == 3:
        return draw.choice(("true", "false", "null", "null", "nul", ""))
    inner = [_write(draw, depth - 1) for _ in range(draw.randrange(4))]
    if kind == 4:
        return f"[{gap}{f'{gap},'.join(inner)}]"
    names = [draw.choice(('"a"', '"a"', '"b"', '"model"', '"\\u0061"', _string(draw))) for _ in inner]
    return "{" + ",".join(f"{gap}{name}:{gap}{one}" for name, one in zip(names, inner, strict=True)) + "}"


def _string(draw: random.Random) -> str:
    return '"' + "".join(draw.choice(_TEXT) for _ in range(draw.randrange(3))) + '"'


def verdict(read: Any, body: bytes) -> tuple[str, str]:
    try:
        return "read", repr(read(body))
    except InvalidJson as error:
        return "refused", str(error)


@given(st.integers(0, 2**64), st.integers(0, 5), st.binary(max_size=2))
@settings(max_examples=1500, deadline=None)
@example(0, 0, b"\xff")
def test_the_short_way_gives_the_verdict_and_the_words_of_the_long_way(seed: int, depth: int, more: bytes) -> None:
    text = _write(random.Random(seed), depth)
    for body in (text.encode(), text.encode() + more, more + text.encode(), b'{"a":' + text.encode() + b',"a":1}'):
        assert verdict(loads, body) == verdict(json._counted, body), body


@given(st.integers(0, 2**64), st.integers(1, 4))
@settings(max_examples=500, deadline=None)
def test_no_body_with_a_key_twice_is_read(seed: int, depth: int) -> None:
    """Told by another parser."""
    body = _write(random.Random(seed), depth).encode()
    twice = False

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        twice = twice or len(dict(found)) != len(found)
        return dict(found)

    try:
        stdlib.loads(body, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return
    if twice:
        assert verdict(loads, body)[0] == "refused", body


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":1}',
        b'{"a":{"b":1,"b":1}}',
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'{"a":' + b"9" * (MAX_DIGITS + 1) + b"}",
        b'{"a":"\\ud83d"}',
        b'{"a":"\xff"}',
    ],
)
def test_compact_bodies_that_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        loads(body)


@pytest.mark.parametrize(
    "body", [b'{"model":"m","messages":[{"role":"user","content":"h\xc3\xa9 \\" there"}],"temperature":0.7,"n":1}', b"[]", b'""']
)
def test_what_an_sdk_writes_goes_the_short_way(body: bytes) -> None:
    assert json._same_again(body) == stdlib.loads(body)


@pytest.mark.parametrize(
    "body", [b'{"model": "m"}', b'{"a":1.50}', b'{"a":"\\u00e9"}', b'{"a":1,"a":1}', b'{"a":"' + b"[" * (MAX_DEPTH + 1) + b'"}']
)
def test_whatever_is_written_otherwise_goes_the_long_way(body: bytes) -> None:
    assert json._same_again(body) is json._NOT_THE_SAME
