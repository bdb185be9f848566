"""Waits that providers ask for, and that no SDK multiplies our attempts (T11)."""

from __future__ import annotations

import time
from typing import Any

import anthropic
import openai
import pytest

from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer

# fault: (least, most) seconds that the caller is told
WAITS = {
    "status:429:ra=7": (7, 7),
    "status:429:ra=2.5": (2, 3),
    "status:429:ra-ms=3500": (3, 4),
    "status:429:ra-date=20": (18, 20),
    "status:429:ra-date=-60": (0, 1),
    "status:429:ra=100000": (60, 60),
    "status:429:ra=-5": (1, 8),
    "status:429:ra=nan": (1, 8),
    "status:429:ra=soon": (1, 8),
    "status:503:ra=5": (5, 5),
    "status:503": (1, 8),
}


@pytest.mark.parametrize("fault", WAITS)
def test_a_wait_in_any_form_reaches_the_caller_capped(gateway: GatewayServer, fault: str) -> None:
    answer = gateway.ask("openai_chat", f"chat/fault:{fault}")
    least, most = WAITS[fault]
    assert answer.status in (429, 503)
    assert least <= int(answer.headers["retry-after"]) <= most, answer.headers
    assert answer.headers["x-should-retry"] == "true"
    (deployment,) = gateway.on_loop(lambda: list(gateway.gateway.health._breakers.values()))
    rest = deployment.cool_until - time.monotonic()
    assert rest <= 600
    if fault.endswith("100000"):
        assert rest > 590


def test_the_shortest_wait_of_all_candidates_is_told(gateway: GatewayServer) -> None:
    alias = gateway.alias("waits", ("chat", "fault:status:429:ra=9"), ("chat2", "fault:status:429:ra=30"))
    answer = gateway.ask("openai_chat", alias)
    assert (answer.status, answer.headers["retry-after"]) == (429, "9")
    assert gateway.row(answer).attempt_count == 2


def test_a_short_wait_is_waited_for_where_nobody_else_is(gateway: GatewayServer) -> None:
    gateway.program("chat/brief", "status:429:ra=1", "ok")
    watch = Stopwatch()
    answer = gateway.ask("openai_chat", "chat/brief")
    assert answer.status == 200, answer.body
    assert watch.wall_s >= 1.0
    assert watch.took_s < 3
    assert gateway.row(answer).attempt_count == 2


def sdk(gateway: GatewayServer, name: str) -> Any:
    """As a user makes it: two retries of its own."""
    if name == "anthropic":
        return anthropic.Anthropic(
            api_key=gateway.rows.key, base_url=gateway.url, http_client=anthropic.DefaultHttpxClient(trust_env=False)
        )
    return openai.OpenAI(api_key=gateway.rows.key, base_url=f"{gateway.url}/v1", http_client=openai.DefaultHttpxClient(trust_env=False))


def generate(client: Any, model: str, stream: bool) -> Any:
    messages = [{"role": "user", "content": "hello"}]
    if isinstance(client, anthropic.Anthropic):
        return client.messages.create(model=model, max_tokens=100, messages=messages, stream=stream)
    return client.chat.completions.create(model=model, messages=messages, stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", ["openai", "anthropic"])
@pytest.mark.parametrize(("fault", "attempts"), [("status:500", 2), ("status:401", 1), ("html200", 1), ("status:400", 1)])
def test_an_sdk_adds_no_attempt_of_its_own(gateway: GatewayServer, name: str, fault: str, attempts: int, stream: bool) -> None:
    since = gateway.mark
    with sdk(gateway, name) as client, pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
        generate(client, f"chat/fault:{fault}", stream)
    assert len(gateway.received(since)) == attempts


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_an_sdk_sees_a_broken_stream_as_an_error_and_not_as_an_end(gateway: GatewayServer, name: str) -> None:
    since = gateway.mark
    with sdk(gateway, name) as client, pytest.raises((openai.APIError, anthropic.APIError)):
        for _ in generate(client, "chat/fault:rst@3", True):
            pass
    assert len(gateway.received(since)) == 1
