"""Every row of the fault matrix, all five columns: what the caller sees, the log, the budget, health, and what is tried next."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import Answer

from .table import B1, B2, Row

SECOND = ("chat2", "fault:ok")


def ledger(row: Any) -> Any:
    from llm_gateway.models import LedgerEntry

    return LedgerEntry.objects.get(request_id=row.pk)


def attempts(row: Any) -> list[Any]:
    return list(row.attempts.order_by("number"))


def check_error(answer: Answer, row: Row, dialect: str) -> None:
    assert answer.status == row.status_in(dialect), (dialect, answer.body)
    assert answer.code == row.code, (dialect, answer.body)
    retryable = row.status in (429, 503)
    assert answer.headers.get("x-should-retry", "true") == ("true" if retryable else "false")
    assert ("retry-after" in answer.headers) == row.wait
    if row.wait:
        assert 0 <= int(answer.headers["retry-after"]) <= 60


def check_health(gateway: GatewayServer, row: Row, slug: str, upstream_id: str) -> None:
    from llm_gateway.models import DeploymentHealth, ProviderKey

    gateway.settle()
    key = ProviderKey.objects.get(provider__slug=slug)
    health = gateway.gateway.health
    breaker = health._breakers.get((key.pk, upstream_id))
    assert key.state == (row.key_state or "valid")
    match row.state:
        case "none" | "key":
            assert breaker is None or (not breaker.run and breaker.cool_until == 0)
            assert not DeploymentHealth.objects.exists()
        case "failure" if row.error == "dns":
            assert any(host.run for host in health._hosts.values())
        case "failure":
            assert breaker is not None
            assert breaker.run
            assert breaker.cool_until == 0
        case _:
            # The shortest rests are a quarter of a second: on a busy machine one is over before it can be looked at.
            rested = breaker is not None and breaker.cool_until > 0
            assert rested or (key.pk, upstream_id) in gateway.health()


IN_ITS_MODES = [
    pytest.param(row, stream, id=f"{row.name}-{'stream' if stream else 'whole'}")
    for row in B1
    for stream in (False, True)
    if stream in row.modes
]


@pytest.mark.parametrize(("row", "stream"), IN_ITS_MODES)
def test_before_content_with_one_candidate(gateway: GatewayServer, row: Row, stream: bool) -> None:
    for dialect in row.dialects:
        gateway.forget()
        slug, upstream_id = row.target(dialect)
        before = gateway.mark
        answer = gateway.ask(dialect, f"{slug}/{upstream_id}", stream=stream)
        check_error(answer, row, dialect)
        logged = gateway.row(answer)
        assert (logged.state, logged.error_code) == ("failed", row.code), dialect
        tried = attempts(logged)
        assert logged.attempt_count == len(tried)
        assert len(tried) in ((row.alone,) if row.alone else (1, 2)), dialect
        assert {a.error_class for a in tried} == {row.error}
        assert {a.outcome for a in tried} == {"failed"}
        assert {a.billed for a in tried} <= ({"reported", "estimate"} if row.billed == "charged" else {row.billed})
        assert all(a.maybe_billed for a in tried) or not row.maybe_billed, dialect
        if not row.fault.endswith("!"):
            assert len(gateway.received(before)) == len(tried)
        entry = ledger(logged)
        match row.billed:
            case "void":
                assert (entry.state, logged.cost_nusd) == ("voided", 0)
            case "hold":
                assert (entry.state, entry.amount_nusd, logged.cost_nusd) == ("posted", entry.held_nusd, entry.held_nusd)
            case _:
                assert entry.state == "posted"
                assert 0 < entry.amount_nusd <= entry.held_nusd
        check_health(gateway, row, slug, upstream_id)


@pytest.mark.parametrize(("row", "stream"), IN_ITS_MODES)
def test_before_content_with_two_candidates(gateway: GatewayServer, row: Row, stream: bool) -> None:
    for dialect in row.dialects:
        gateway.forget()
        target = row.target(dialect)
        alias = gateway.alias(f"two-{row.name}-{dialect}", target, SECOND)
        answer = gateway.ask(dialect, alias, stream=stream)
        logged = gateway.row(answer)
        if row.then == "stop":
            check_error(answer, row, dialect)
            assert (logged.state, logged.attempt_count) == ("failed", 1)
            continue
        assert answer.status == 200, answer.body
        assert answer.text.strip()
        assert not answer.errors
        assert logged.state == "ok"
        assert logged.provider_slug == "chat2"
        first, *_, last = attempts(logged)
        assert (first.error_class, first.billed, last.outcome) == (row.error, row.billed, "ok")
        # A conflict is asked again at the same target first, unless the provider says no; everything else moves on at once.
        again = row.error == "conflict" and dialect != "anthropic_messages"
        assert logged.attempt_count == (3 if again else 2)
        if stream:
            assert answer.terminals == 1
        assert answer.headers.get("x-cogo-attempts", str(logged.attempt_count)) == str(logged.attempt_count)
        entry = ledger(logged)
        assert (entry.state, entry.amount_nusd) == ("posted", logged.cost_nusd)


@pytest.mark.parametrize("candidates", [1, 2])
@pytest.mark.parametrize("row", B2, ids=lambda row: row.name)
def test_after_content_in_a_stream(gateway: GatewayServer, row: Row, candidates: int) -> None:
    for dialect in row.dialects:
        gateway.forget()
        slug, upstream_id = row.target(dialect)
        name = f"{slug}/{upstream_id}" if candidates == 1 else gateway.alias(f"cut-{row.name}-{dialect}", (slug, upstream_id), SECOND)
        answer = gateway.ask(dialect, name, stream=True)
        assert answer.status == 200
        assert not answer.broken, "the caller's stream ends cleanly"
        assert len(answer.errors) == 1, answer.body
        assert answer.code == row.code, (dialect, answer.body)
        assert answer.terminals == 0, "no forged end"
        assert answer.text, "what came is the caller's"
        logged = gateway.row(answer)
        assert (logged.state, logged.error_code, logged.attempt_count) == ("partial", row.code, 1), dialect
        (tried,) = attempts(logged)
        assert (tried.outcome, tried.error_class, tried.billed) == ("partial", row.error, "estimate")
        entry = ledger(logged)
        assert entry.state == "posted"
        assert 0 < entry.amount_nusd <= entry.held_nusd
        assert (logged.usage_source, logged.cost_nusd) == ("estimated", entry.amount_nusd)
        check_health(gateway, row, slug, upstream_id)
