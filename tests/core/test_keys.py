from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.keys import CLIENT_KEY_FORM, KeyState, compose_client_key, public_id_of


@given(st.binary(min_size=48, max_size=64))
def test_a_composed_key_has_the_documented_form_and_gives_its_public_id_back(entropy: bytes) -> None:
    key, public = compose_client_key(entropy)
    assert re.fullmatch(CLIENT_KEY_FORM, key)
    assert public_id_of(key) == public
    assert len(public) == 12


@given(st.binary(min_size=48, max_size=48), st.data())
def test_one_changed_character_is_no_key(entropy: bytes, data: st.DataObject) -> None:
    key, _ = compose_client_key(entropy)
    place = data.draw(st.integers(5, len(key) - 1))
    other = data.draw(st.characters(codec="ascii", categories=("L", "N", "P")).filter(lambda c: c != key[place]))
    assert public_id_of(key[:place] + other + key[place + 1 :]) is None


def test_different_entropy_makes_different_keys() -> None:
    keys = {compose_client_key(bytes([n]) * 48)[0] for n in range(256)}
    assert len(keys) == 256


def test_hostile_strings_are_no_keys() -> None:
    key, _ = compose_client_key(b"\x01" * 48)
    for text in ("", " ", "'", "\x00", "%", "_" * 60, "x" * 1_000_000, key + "\n", "\n" + key, key.upper(), key + "a", "cogo_", "٣" * 70):
        assert public_id_of(text) is None


@given(st.text())
def test_any_text_is_judged_without_an_error(text: str) -> None:
    assert public_id_of(text) is None


def test_only_refused_and_unpaid_keys_leave_routing() -> None:
    out = {state for state in KeyState if not state.routable}
    assert out == {KeyState.INVALID, KeyState.OUT_OF_CREDIT, KeyState.NO_PERMISSION}
