"""Requests and tokens per minute: what is reserved, what is corrected, and what every answer says of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llm_gateway.api.limits import go_duration
from tests.support.gateway import GatewayServer
from tests.support.speaking import DIALECTS, Answer, auth

GO = re.compile(r"(?:\d+h)?(?:\d+m)?[\d.]+s|\d+ms")
PARTS = ("limit", "remaining", "reset")


def told(answer: Answer, what: str) -> tuple[int, int, str]:
    limit, remaining, reset = (answer.headers[f"x-ratelimit-{part}-{what}"] for part in PARTS)
    assert GO.fullmatch(reset), reset
    return int(limit), int(remaining), reset


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.12, "120ms"),
        (0.9999, "1s"),
        (1.5, "1.5s"),
        (59.999, "59.999s"),
        (360, "6m0s"),
        (90.5, "1m30.5s"),
        (3603, "1h0m3s"),
        (-1, "0s"),
    ],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_answer_says_how_its_key_stands(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    key = gateway.issue(f"stands-{dialect}-{stream}", requests_per_minute=2, tokens_per_minute=100_000)
    answers = [gateway.ask(dialect, "chat/m", stream=stream, key=key) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [told(answer, "requests")[:2] for answer in answers] == [(2, 1), (2, 0), (2, 0)]
    for answer in answers:
        limit, remaining, _ = told(answer, "tokens")
        assert (limit, 90_000 < remaining <= 100_000) == (100_000, True)
    assert told(gateway.ask(dialect, "strategy:nope", key=key), "requests")[0] == 2
    own = {name for name in answers[0].headers if name.startswith("anthropic-ratelimit-")}
    if dialect == "anthropic_messages":
        assert own == {f"anthropic-ratelimit-{what}-{part}" for what in ("requests", "tokens") for part in PARTS}
        reset = datetime.fromisoformat(answers[2].headers["anthropic-ratelimit-requests-reset"])
        assert timedelta(seconds=50) < reset - datetime.now(UTC) <= timedelta(seconds=61)
    else:
        assert not own


def test_a_key_without_limits_is_told_of_none(gateway: GatewayServer) -> None:
    assert not [name for name in gateway.ask("openai_chat", "chat/m").headers if "ratelimit" in name]
    key = gateway.issue("requests-only", requests_per_minute=60)
    headers = gateway.ask("openai_chat", "chat/m", key=key).headers
    assert not [name for name in headers if name.endswith("-tokens")]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tokens_above_the_limit_are_refused_with_the_exact_wait(gateway: GatewayServer, dialect: str) -> None:
    key = gateway.issue(f"frugal-{dialect}", tokens_per_minute=600)
    first = gateway.ask(dialect, "chat/m", key=key, prompt="word " * 300)
    assert first.status == 200
    used = gateway.row(first)
    before = gateway.mark
    answer = gateway.ask(dialect, "chat/m", key=key, prompt="word " * 300)
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert answer.headers.get("x-should-retry", "true") == "true"
    assert b"600 tokens a minute" in answer.body
    assert gateway.mark == before
    # A minute's worth is 600: at ten a second, what was used and asked for above it comes back in so many seconds.
    wait = int(answer.headers["retry-after"])
    assert 0 < wait <= -(-(used.input_tokens + used.output_tokens) // 10) + 1


def test_what_was_reserved_is_corrected_by_what_was_used(gateway: GatewayServer) -> None:
    key = gateway.issue("corrected", tokens_per_minute=6000)
    answer = gateway.ask("openai_chat", "chat/m", key=key, max_tokens=5000)
    gateway.quiet()
    row = gateway.row(answer)
    standing = gateway.on_loop(lambda: gateway.gateway.gate.standing(_identity(gateway, "corrected")))
    left = standing.tokens.remaining
    used = row.input_tokens + row.output_tokens
    assert 6000 - used <= left <= 6000, "not 1,000, which is what was left while it ran"


def _identity(gateway: GatewayServer, name: str) -> Any:
    return next(one for _, one in gateway.gateway.catalog.snapshot().clients.values() if one.name == name)


def test_a_refused_or_failed_request_gives_its_tokens_back(gateway: GatewayServer) -> None:
    key = gateway.issue("given-back", tokens_per_minute=6000)
    for model in ("chat/fault:status:500", "chat/fault:status:400", "strategy:nope"):
        gateway.ask("openai_chat", model, key=key, max_tokens=5900)
        gateway.quiet()
        standing = gateway.on_loop(lambda: gateway.gateway.gate.standing(_identity(gateway, "given-back")))
        assert standing.tokens.remaining == 6000, model


def test_requests_at_once_reserve_before_they_are_sent(gateway: GatewayServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    key = gateway.issue("at-once", tokens_per_minute=6000)
    before = gateway.mark
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: gateway.ask("openai_chat", "chat/fault:slow:700", key=key, max_tokens=2900), range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 429, 429, 429]
    assert len(gateway.received(before)) == 2


def test_a_stream_says_what_is_reserved_for_it(gateway: GatewayServer) -> None:
    key = gateway.issue("reserving", tokens_per_minute=6000)
    answer = gateway.ask("openai_chat", "chat/m", stream=True, key=key, max_tokens=4000)
    assert told(answer, "tokens")[1] < 2100


def test_counting_tokens_uses_none(gateway: GatewayServer) -> None:
    key = gateway.issue("counter", tokens_per_minute=100)
    body = {"model": "claude/m", "messages": [{"role": "user", "content": "x" * 3000}]}
    for _ in range(3):
        answer = gateway.http.post("/v1/messages/count_tokens", json=body, headers=auth("anthropic_messages", key))
        assert answer.status_code == 200
        assert answer.headers["anthropic-ratelimit-tokens-remaining"] == "100"


def test_lists_of_models_and_pages_of_the_native_api_say_it_too(gateway: GatewayServer) -> None:
    key = gateway.issue("reader", requests_per_minute=7)
    for path, dialect in (("/v1/models", "openai_chat"), ("/api/ai-models/models", "native"), ("/v1beta/models", "gemini_generate")):
        assert gateway.http.get(path, headers=auth(dialect, key)).headers["x-ratelimit-limit-requests"] == "7", path
