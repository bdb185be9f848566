"""No key is written here, not even one that looks real: look-alikes are put together at run time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.redact import redact
from llm_gateway.core.secret import Secret, mask

TAIL = "Abc123" * 4


@pytest.mark.parametrize("prefix", ["sk-", "sk-ant-", "fw_", "gsk_", "xai-", "cogo_", "hf_", "pk-", "AIza"])
def test_key_like_words_are_taken_out(prefix: str) -> None:
    text = redact(f"Incorrect API key provided: {prefix}{TAIL}. See the docs.")
    assert TAIL not in text
    assert text == "Incorrect API key provided: ***. See the docs."


def test_a_half_masked_key_is_taken_out_too() -> None:
    assert redact("key " + "sk-" + "ab***xyz9 is wrong") == "key *** is wrong"


@pytest.mark.parametrize("word", ["Bearer", "bearer", "Basic"])
def test_authorization_values_are_taken_out(word: str) -> None:
    assert TAIL not in redact(f"got header {word} {TAIL}")


def test_credentials_in_urls_are_taken_out_and_the_host_stays() -> None:
    assert redact(f"https://user:{TAIL}@host.test/x?key={TAIL}&a=1") == "https://***@host.test/x?key=***&a=1"


def test_given_secrets_are_taken_out_wherever_they_stand() -> None:
    assert redact("left hunter22right", "hunter22") == "left ***right"


def test_a_secret_too_short_to_be_one_does_not_shred_the_text() -> None:
    assert redact("a banana", "a", "") == "a banana"


def test_control_characters_become_spaces_and_the_text_is_short() -> None:
    assert redact('bad\r\n{"level":"ERROR"}\x00\x1b[0m') == 'bad  {"level":"ERROR"}  [0m'
    assert len(redact("word " * 1000)) == 500
    assert len(redact("word " * 1000, limit=20)) == 20


@given(st.text(max_size=300), st.text(alphabet="abcdefghijkmnop0123456789", min_size=8, max_size=40))
def test_a_known_secret_never_survives(text: str, secret: str) -> None:
    assert secret not in redact(f"{text}{secret}{text}", secret)


def test_ordinary_sentences_stay_as_they_are() -> None:
    text = "The model `gpt-6.1-sol` does not exist, or you do not have access to it (task-based rate limits: 10 rpm)."
    assert redact(text) == text


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(TAIL)
    assert all(TAIL not in form for form in (repr(secret), str(secret), f"{secret}", f"{secret:>30}", repr([secret])))
    assert secret.reveal() == TAIL
    assert mask(TAIL) == "…c123"
    assert mask("short") == "…"
