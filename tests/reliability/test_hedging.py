"""Hedged requests, and streams of revoked keys, through the real gateway with the simulator as every provider."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer
from tests.support.raw import connected, generation, until
from tests.support.speaking import DIALECTS, Answer
from tests.support.waiting import until as until_true

GENERATING = ("openai_chat", "openai_responses", "anthropic_messages", "native")
CLOSED_WITHIN_S = 1.0
ENDED_WITHIN_S = 10.0


@pytest.fixture(autouse=True)
def restored(gateway: GatewayServer) -> Iterator[None]:
    from llm_gateway.models import Strategy

    yield
    gateway.simulator.control("personality/all", state="up", faults=[])
    Strategy.objects.filter(name__startswith="hedged").delete()
    gateway.refresh()


def hedged(gateway: GatewayServer, after_ms: int = 50) -> str:
    """A strategy that asks fireworks, then anthropic, openai, gemini; its name as a model."""
    from llm_gateway.actions.activate_strategy import validate_settings
    from llm_gateway.models import Strategy

    Strategy.objects.create(
        name="hedged", kind="enterprise", title="h", settings=validate_settings("enterprise", {"hedge_after_ms": after_ms})
    )
    gateway.refresh()
    return "strategy:hedged"


def sick(gateway: GatewayServer, **faults: str) -> None:
    for provider, fault in faults.items():
        gateway.simulator.control(f"personality/{provider}", fault=fault)


def attempts(gateway: GatewayServer, row: Any) -> list[tuple[str, str, str]]:
    found = list(row.attempts.order_by("number"))
    assert row.cost_nusd == sum(a.cost_nusd for a in found) <= row.hold_nusd
    assert all(a.cost_nusd > 0 for a in found if a.outcome in ("ok", "cancelled"))
    return [(a.provider_slug, a.outcome, a.billed) for a in found]


def hung_up(gateway: GatewayServer, since: int, provider: str) -> None:
    """Wait until ``provider`` saw the gateway leave."""
    until_true(lambda: any(entry["provider"] == provider and entry["peer_closed"] for entry in gateway.received(since)), 3)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", GENERATING)
def test_a_silent_first_target_costs_no_more_than_the_wait(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    model = hedged(gateway)
    sick(gateway, fireworks="silent")
    since, watch = gateway.mark, Stopwatch()
    answer = gateway.ask(dialect, model, stream=stream)
    assert answer.status == 200, answer.body
    assert watch.took_s < 2
    assert answer.text.strip()
    assert not stream or answer.terminals == 1 or dialect == "native"
    row = gateway.row(answer)
    assert attempts(gateway, row) == [("fireworks", "cancelled", "estimate"), ("anthropic", "ok", "reported")]
    assert (row.state, row.provider_slug) == ("ok", "anthropic")
    told = row.decision["hedged"]
    assert told["first"].startswith("fireworks/")
    assert told["won"] == told["second"]
    assert 50 <= told["after_ms"] < 500 + watch.stolen_s * 1000
    hung_up(gateway, since, "fireworks")
    assert watch.took_s < CLOSED_WITHIN_S
    assert gateway.health() == {}


def test_the_first_target_may_still_win(gateway: GatewayServer) -> None:
    model = hedged(gateway)
    sick(gateway, fireworks="slow:300", anthropic="silent")
    since, watch = gateway.mark, Stopwatch()
    row = gateway.row(gateway.ask("openai_chat", model, stream=True))
    assert attempts(gateway, row) == [("anthropic", "cancelled", "estimate"), ("fireworks", "ok", "reported")]
    assert row.decision["hedged"]["won"] == row.decision["hedged"]["first"]
    hung_up(gateway, since, "anthropic")
    assert watch.took_s < CLOSED_WITHIN_S


def test_a_first_target_that_fails_leaves_the_second_alone(gateway: GatewayServer) -> None:
    model = hedged(gateway)
    gateway.clocks("fireworks", first_event=150)
    sick(gateway, fireworks="silent", anthropic="slow:300")
    try:
        row = gateway.row(gateway.ask("openai_chat", model, stream=True))
    finally:
        gateway.clocks("fireworks", first_event=None)
    assert [a[:2] for a in attempts(gateway, row)] == [("fireworks", "failed"), ("anthropic", "ok")]
    assert row.decision["hedged"]["won"] == row.decision["hedged"]["second"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_caller_that_leaves_ends_both(gateway: GatewayServer, stream: bool) -> None:
    model = hedged(gateway)
    sick(gateway, fireworks="silent", anthropic="silent")
    since = gateway.mark
    with connected(gateway.port, generation("openai_chat", gateway.rows.key, model, stream=stream)):
        while len(gateway.received(since)) < 2:
            time.sleep(0.005)
        watch = Stopwatch()
    for provider in ("fireworks", "anthropic"):
        hung_up(gateway, since, provider)
        assert watch.took_s < CLOSED_WITHIN_S
    row = gateway.last_row()
    assert row.state == "client_cancelled"
    assert sorted(attempts(gateway, row)) == [("anthropic", "cancelled", "estimate"), ("fireworks", "cancelled", "estimate")]
    assert row.decision["hedged"]["won"] is None


def test_a_hard_budget_is_never_overshot_by_hedges(gateway: GatewayServer) -> None:
    from llm_gateway.models import Budget

    model = hedged(gateway)
    sick(gateway, fireworks="slow:250", anthropic="slow:120")
    hold = gateway.row(gateway.ask("openai_chat", model, max_tokens=20)).hold_nusd
    key = gateway.issue("hedged-small", budget_usd=Decimal(hold * 5 // 2) / 10**9, period="total")

    def ask(_: int) -> Answer:
        return gateway.ask("openai_chat", model, key=key, max_tokens=20)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    gateway.quiet()
    assert {a.status for a in answers} <= {200, 402, 429}
    served = [gateway.row(a) for a in answers if a.status == 200]
    assert any("hedged" in row.decision for row in served)
    budget = Budget.objects.get(client_key__name="hedged-small")
    assert budget.held_nusd == 0
    assert budget.posted_nusd == sum(row.cost_nusd for row in served) <= budget.limit_nusd


# A38, C17.


@pytest.mark.parametrize("how", ["key", "team"])
def test_c17_a38_running_streams_of_a_revoked_key_end_in_every_dialect(gateway: GatewayServer, how: str) -> None:
    from django.utils import timezone

    from llm_gateway.models import ClientKey, RequestLog, Team

    team = Team.objects.create(slug=f"leavers-{how}", name=f"Leavers by {how}")
    key = gateway.issue(f"leaving-{how}", team=team)
    since = gateway.mark
    with ExitStack() as stack:
        peers = {d: stack.enter_context(connected(gateway.port, generation(d, key, "chat/fault:stall@3", stream=True))) for d in DIALECTS}
        for peer in peers.values():
            until(peer, b"data:")
        watch = Stopwatch()
        if how == "key":
            ClientKey.objects.filter(team=team).update(revoked_at=timezone.now())
        else:
            Team.objects.filter(pk=team.pk).update(enabled=False)
        for dialect, peer in peers.items():
            got = until(peer, b"\r\n0\r\n\r\n", ENDED_WITHIN_S)
            assert b"key_revoked" in got.lower(), (dialect, got[-400:])
            for mark in (b"[DONE]", b"message_stop", b"response.completed", b'"STOP"'):
                assert mark not in got
    assert watch.took_s < ENDED_WITHIN_S
    gateway.quiet()
    rows = list(RequestLog.objects.filter(client_key__team=team))
    assert len(rows) == len(DIALECTS)
    for row in rows:
        assert (row.state, row.error_code) == ("partial", "key_revoked")
        assert 0 < row.cost_nusd <= row.hold_nusd
    deadline = time.monotonic() + 1
    while not all(entry["peer_closed"] for entry in gateway.received(since)):
        assert time.monotonic() < deadline, "a provider was not hung up on"
        time.sleep(0.01)
    assert gateway.health() == {}


def test_c17_a_running_stream_of_an_expired_key_ends(gateway: GatewayServer) -> None:
    """Nothing changes in the catalogue when a key's hour comes."""
    key = gateway.issue("short-lived", expires_at=datetime.now(UTC) + timedelta(seconds=0.5))
    with connected(gateway.port, generation("openai_chat", key, "chat/fault:stall@3", stream=True)) as peer:
        until(peer, b"key_revoked")
    assert gateway.last_row().error_code == "key_revoked"
