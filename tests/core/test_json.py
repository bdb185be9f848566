"""Strict JSON in, exact edits out."""

from __future__ import annotations

import json as stdlib
import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llm_gateway.core.json import (
    _PIECE,
    MAX_CONTAINERS,
    MAX_DEPTH,
    MAX_ESCAPES,
    MAX_KEYS,
    MAX_MEMBERS,
    MAX_OUTSIDE_STRINGS,
    InvalidJson,
    check,
    dumps,
    edit_object,
    lenient,
    loads,
)
from tests.support.clock import Stopwatch

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(STRINGS, VALUES, min_size=1, max_size=5)


def same(one: Any, other: Any) -> bool:
    return bool(stdlib.dumps(one, sort_keys=True) == stdlib.dumps(other, sort_keys=True))


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
@settings(max_examples=100, deadline=None)
def test_every_spelling_of_a_value_is_read(value: Any, ascii_only: bool, indent: int | None) -> None:
    body = stdlib.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    read = loads(body)
    assert same(read, stdlib.loads(body))
    assert same(loads(dumps(read)), read)


@given(st.dictionaries(STRINGS, VALUES, min_size=1, max_size=3), st.sampled_from([b"1E6", b"1E5", b"0.10", b'"\\u00e9"', b"{}"]))
@settings(max_examples=60, deadline=None)
def test_a_key_given_twice_is_refused_whatever_stands_beside_it(value: dict[str, Any], beside: bytes) -> None:
    key = dumps(next(iter(value)))
    body = dumps(value)[:-1] + b"," + key + b":" + beside + b"}"
    with pytest.raises(InvalidJson, match="twice"):
        check(body)


@pytest.mark.parametrize("number", ["1E5", "1E6", "1E7", "1e0", "100e-2"])
def test_a_number_that_grows_in_print_cannot_hide_a_key_given_twice(number: str) -> None:
    for length in range(1, 14):
        name = "a" * length
        with pytest.raises(InvalidJson, match="twice"):
            check(f'{{"{name}":1,"{name}":1,"b":{number}}}'.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b'{"a":1}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":"\xff"}',
        b"\xff\xfe{\x00}\x00",
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00x"}',
        b'{"a":' + b"1" * 41 + b"}",
        b'{"a":"x\ny"}',
        b'{"a":01}',
    ],
)
def test_what_is_not_plain_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        loads(body)


def test_a_surrogate_pair_is_a_character() -> None:
    assert loads(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_digits_and_brackets_inside_strings_are_text() -> None:
    text = "[" * 200 + '"' + "9" * 80 + "\\"
    assert loads(dumps({"a": text})) == {"a": text}


@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_depth_is_bounded(pair: tuple[str, str]) -> None:
    opening, closing = pair
    loads((opening * (MAX_DEPTH - 1) + "[]" + closing * (MAX_DEPTH - 1)).encode())
    with pytest.raises(InvalidJson, match="deeper"):
        loads((opening * MAX_DEPTH + "[]" + closing * MAX_DEPTH).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b"[" * 500_000 + b"]" * 500_000,
        b'{"a":' * 200_000,
        b"[" * 65 + b'"' + b'\\"' * 500_000,
        b"[" * 65 + b'"' + b'\\"' * 500_000 + b"\\",
        b"1" * 1_000_000,
        b"[" + b"[]," * 300_000 + b"1]",
        b"[" + (b"[" * 64 + b"]" * 64 + b",") * 700 + b"1]",
    ],
)
def test_hostile_bodies_are_refused_fast(body: bytes) -> None:
    watch = Stopwatch()
    with pytest.raises(InvalidJson) as caught:
        loads(body)
    assert watch.took_s < 0.5
    assert len(str(caught.value)) <= 200


TOO_MUCH = {
    "keys": (b"{" + b",".join(b'"k%d":0' % n for n in range(MAX_KEYS)) + b"}", b"{", b'{"":0,', "keys"),
    "keys of many objects": (b"[" + b'{"a":0,"b":0},' * (MAX_KEYS // 2) + b"0]", b"[", b'[{"a":0},', "keys"),
    "elements": (b"[" + b"0," * MAX_MEMBERS + b"0]", b"[", b"[0,", "elements"),
    "strings": (b"[" + b'"",' * MAX_MEMBERS + b'""]', b"[", b'["",', "elements"),
    "lists": (b"[" + b"[]," * (MAX_CONTAINERS - 2) + b"[]]", b"[", b"[{},", "lists"),
    "escapes": (b'["' + b"\\n" * MAX_ESCAPES + b'"]', b'["', b'["\\u00e9', "escaped"),
    "escapes of backslashes": (b'["' + b"\\\\" * (MAX_ESCAPES // 2) + b'"]', b'["', b'["\\\\', "escaped"),
    "blanks": (b"[" + b" " * (MAX_OUTSIDE_STRINGS - 2) + b"]", b"[", b"[ ", "outside"),
}


@pytest.mark.parametrize("body", [b'"' * (30 << 20), b'["' + b'""' * (15 << 20), b'{"a":"b"' + b'"x"' * (10 << 20)])
def test_bytes_full_of_quotes_are_refused_before_they_are_taken_apart(body: bytes) -> None:
    with pytest.raises(InvalidJson, match="more than 460000 strings"):
        loads(body)


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_document_may_have_so_much_of_each_and_no_more(what: str) -> None:
    most, head, more, says = TOO_MUCH[what]
    if what != "keys of many objects":
        loads(most)
    with pytest.raises(InvalidJson, match=says):
        loads(more + most.removeprefix(head))


def test_a_large_picture_and_a_long_text_pass() -> None:
    for text in ("iVBORw0KGgo" * 2_000_000, "日本語" * 2_000_000, "a: {b}, [c] " * 1_000_000):
        assert loads(dumps({"messages": [{"role": "user", "content": text}]}))["messages"][0]["content"] == text


@pytest.mark.parametrize("filling", ["x", "\\", '"', '\\"', "\\\\", "日", "\U0001f600"])
@pytest.mark.parametrize("shift", range(-4, 5))
def test_pieces_are_read_as_if_they_were_one(filling: str, shift: int) -> None:
    """Wherever a piece ends: in an escape, between two of them, in a character."""
    for ascii_only in (True, False):
        written = stdlib.dumps(filling, ensure_ascii=ascii_only)[1:-1].encode()
        text = b"x" * (_PIECE - 6 + shift - len(written) * 4) + written * 8
        loads(b'{"a":"' + text + b'","b":"[[:,{","c":1}')
        with pytest.raises(InvalidJson, match="twice"):
            loads(b'{"c":"' + text + b'","b":"[[:,{","c":1}')


@pytest.mark.parametrize("shift", range(-8, 9))
def test_half_a_surrogate_pair_is_found_wherever_it_stands(shift: int) -> None:
    for half in (b"\\ud83d", b"\\uDE00", b"\\ude00\\ud83d"):
        with pytest.raises(InvalidJson, match="surrogate"):
            loads(b'{"a":"' + b"x" * (_PIECE - 6 + shift) + half + b'"}')


@given(OBJECTS, VALUES, st.data())
@settings(max_examples=80, deadline=None)
def test_an_edit_changes_its_fields_and_no_byte_of_another(value: dict[str, Any], new: Any, data: st.DataObject) -> None:
    raws = {name: stdlib.dumps(item, ensure_ascii=data.draw(st.booleans())).encode() for name, item in value.items()}
    body = b"{" + b" , ".join(dumps(name) + b" : " + raw for name, raw in raws.items()) + b"}"
    changed, dropped = data.draw(st.sampled_from(list(value))), data.draw(st.sampled_from(list(value)))
    assume(changed != dropped)
    edited = edit_object(body, {changed: new, "": 1}, (dropped,))
    kept = {name: raw for name, raw in raws.items() if name != dropped} | {changed: dumps(new), "": b"1"}
    assert edited == b"{" + b",".join(dumps(name) + b":" + raw for name, raw in kept.items()) + b"}"


@pytest.mark.parametrize("body", [b"[]", b"1", b"nope", b""])
def test_only_an_object_can_be_edited(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        edit_object(body, {"a": 1})


def test_a_providers_json_is_read_leniently() -> None:
    assert lenient(b"\n\n \n" + b'{"a":1}') == {"a": 1}
    read = lenient(b'{"a":NaN}')
    assert math.isnan(read["a"])
    assert lenient(b"<html>") is None
    assert lenient(b"\xff\xfe") is None


def test_half_a_surrogate_pair_is_written_as_what_it_is_not() -> None:
    for text, written in (("a\ud800b", "a\ufffdb"), ("\udfff", "\ufffd"), ("\ud83d\ude00", "\U0001f600"), ("é\ud83d", "é\ufffd")):
        assert loads(dumps({text: [text, {"n": 1.5, "t": (text, None)}]})) == {written: [written, {"n": 1.5, "t": [written, None]}]}
