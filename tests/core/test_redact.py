"""No key is written here, not even one that looks real: look-alikes are put together at run time."""

from __future__ import annotations

import base64
import json
import time
import timeit
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.keys import compose_client_key
from llm_gateway.core.redact import _PATTERNS, MASK, KeyFilter, _forms, _without_parts, redact, without_keys
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


ODD = "k+/7" + "9f3b" * 3 + "+/" + "71ce" * 4


@pytest.mark.parametrize("lead", ["", "a", "ab", "Bearer ", "user:"])
@pytest.mark.parametrize("tail", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_in_base64_is_taken_out_wherever_it_begins(lead: str, tail: str, encode: Callable[[bytes], bytes]) -> None:
    text = encode(f"{lead}{ODD}{tail}".encode()).decode()
    cleaned = redact(f"sent {text} to us", ODD)
    inside = text[len(lead) * 4 // 3 + 4 : (len(lead) + len(ODD)) * 4 // 3 - 4]
    assert not any(inside[at : at + 8] in cleaned for at in range(len(inside) - 7)), cleaned
    assert "***" in KeyFilter(ODD).whole(text.encode()).decode()


@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 24), st.integers(8, 34))
def test_no_telling_part_of_a_secret_survives(before: str, after: str, start: int, size: int) -> None:
    part = ODD[start : start + size]
    if len(part) >= 8:
        assert part not in redact(f"{before} {part} {after}", ODD, limit=1000)


@pytest.mark.parametrize("text", ["key_revoked", "hf_models", "the model password-reset is unknown", "kimi-k3", "sk-learn and rk-ab"])
def test_words_of_ours_and_of_others_stay(text: str) -> None:
    assert without_keys(text) == text
    if not text.startswith(("hf_", "sk-")):
        assert redact(text, "password-reset-of-all-things") == text


def test_a_caller_s_words_lose_only_whole_keys() -> None:
    ours, _ = compose_client_key(bytes(range(48)))
    assert without_keys(f"a {ours} b") == "a *** b"
    assert without_keys(ours[:60]) == "***"
    assert without_keys(f"x{ours}") == "x***"
    for kept in (
        "claude-sonnet-5-5",
        "accounts/fireworks/models/kimi-k3",
        "sk-short",
        "task-" + "based-routing-of-requests-with-many-words",
    ):
        assert without_keys(kept) == kept


@given(st.binary(max_size=40).filter(lambda b: b"*" not in b), st.lists(st.integers(1, 20), max_size=12))
def test_a_key_cut_by_the_pieces_of_a_stream_is_found(around: bytes, cuts: list[int]) -> None:
    data, one, out = around + ODD.encode() + around, KeyFilter(ODD), b""
    for size in cuts:
        out += one.feed(data[:size])
        data = data[size:]
    out += one.feed(data) + one.rest()
    assert out == around + b"***" + around


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_without_the_key_every_byte_passes(pieces: list[bytes]) -> None:
    one = KeyFilter(ODD)
    assert b"".join([*map(one.feed, pieces), one.rest()]) == b"".join(pieces)


def test_events_are_not_held_back() -> None:
    one = KeyFilter(ODD)
    assert one.feed(b"data: {}\n\n") == b"data: {}\n\n"
    assert one.feed(b"data: k+/") == b"data: "
    assert one.feed(b"\n\n") == b"k+/\n\n"


def test_a_short_secret_leaves_answers_alone() -> None:
    assert KeyFilter("test").whole(b"a test") == b"a test"
    assert KeyFilter("").feed(b"x") == b"x"


@pytest.mark.slow
@pytest.mark.alone
def test_looking_for_the_key_costs_little_of_an_event() -> None:
    """Beside what any reader of an event does with it: decoding its JSON."""
    one, event = KeyFilter(ODD), b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"hello there"},"finish_reason":null}]}\n\n'
    filtering = timeit.repeat(lambda: one.feed(event), number=5000, repeat=5, timer=time.thread_time)
    decoding = timeit.repeat(lambda: json.loads(event[6:]), number=5000, repeat=5, timer=time.thread_time)
    assert min(filtering) < min(decoding)


def test_the_name_of_a_setting_is_no_key() -> None:
    assert (
        redact("cogo: COGO_KEY_PEPPER is not set (or COGO_KEY_PEPPER_FILE)") == "cogo: COGO_KEY_PEPPER is not set (or COGO_KEY_PEPPER_FILE)"
    )
    assert "AbCdEf123456" not in redact("the key COGO_AbCdEf123456 was refused")


_KEY_LIKE = (
    "sk-",
    "SK-",
    "pk_",
    "Fw_",
    "gsk_",
    "xai-",
    "cogo_",
    "hf_",
    "rk-",
    "key-",
    "KEY_",
    "AIza",
    "Bearer ",
    "BASIC\t",
    "://a:b@",
    "?key=",
    "&KEY=",
)
_ODD = ("\u212a", "\u017f", "\u0130", "ü", " ", "-", "_", "0", "abcdef123", "\n", "/", "secret")


@given(st.lists(st.sampled_from(_KEY_LIKE + _ODD), max_size=8), st.sampled_from(["", "secret-of-a-provider-0123456789", "secret", "abcd"]))
def test_a_text_that_cannot_hold_a_key_is_told_from_one_that_may(parts: list[str], secret: str) -> None:
    """The quick looks leave out only work that would find nothing."""
    text = "".join(parts)
    assert redact(text, secret) == _slowly(text, secret)


@pytest.mark.parametrize("beginning", [*_KEY_LIKE, "xa\u0131-", "xa\u0130-", "ba\u017fic ", "s\u212a-", "\u017fk-"])
def test_nothing_that_a_pattern_finds_is_overlooked(beginning: str) -> None:
    """Letters that only look at another case like ours, too."""
    text = f"got {beginning}abc123abc123"
    assert redact(text) == _slowly(text, "")


@given(st.text("secrt0", max_size=12), st.integers(0, 40), st.text("secrt0", min_size=4, max_size=24))
def test_the_beginning_of_a_secret_at_the_end_of_a_text_goes(before: str, size: int, secret: str) -> None:
    text = before + secret[:size]
    assert redact(text, secret) == _slowly(text, secret)


def _slowly(text: str, secret: str) -> str:
    """Every form, every beginning from the longest on, every pattern."""
    if len(secret) >= 4:
        for form in _forms(secret):
            text = text.replace(form, MASK)
        if len(secret) >= 16:
            text = _without_parts(text, secret)
        for size in range(min(len(secret) - 1, len(text)), 5, -1):
            if text.endswith(secret[:size]):
                text = text[:-size] + MASK
                break
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    return "".join(c if c.isprintable() else " " for c in text)[:500]
