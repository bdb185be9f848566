"""T1: many callers, two processes, nested budgets, mixed outcomes: nothing is ever spent beyond a limit, and limits are used up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from .rig import Crowd, Rig, Watchman, broken, rig, settled


@pytest.fixture
def two(test_database: None, django_db_blocker: Any) -> Iterator[Rig]:
    with django_db_blocker.unblock(), rig(2) as found:
        yield found


def race(rig: Rig, requests: int, at_once: int, limit_nusd: int) -> None:
    """``limit_nusd``: of the whole gateway; a key may use a third, a team two thirds of it, provider and model all."""
    from llm_gateway.models import Budget, LanguageModel, RequestLog, Team

    other = Team.objects.create(name="Other", slug="other")
    usd = Decimal(limit_nusd) / 10**9
    chat = rig.rows.providers["chat"]
    Budget.objects.create(name="team", team=rig.rows.team, limit_nusd=limit_nusd * 2 // 3, period="day", timezone="Asia/Tokyo")
    whole = Budget.objects.create(name="gateway", limit_nusd=limit_nusd, period="total")
    Budget.objects.create(name="provider", provider=chat, limit_nusd=limit_nusd, period="week")
    Budget.objects.create(
        name="model", model=LanguageModel.objects.get(provider=chat, upstream_id="*"), limit_nusd=limit_nusd, period="day"
    )
    # The keys come last: who knows them knows every budget.
    keys = [
        rig.rows.issue("a", budget_usd=usd / 3, period="total"),
        rig.rows.issue("b", budget_usd=usd / 2, period="month"),
        rig.rows.issue("c", team=other),
    ]
    rig.processes.wait_ready()
    _until_seen(rig, keys)
    crowd = Crowd(rig, keys, at_once, patience=80)
    with Watchman() as watchman:
        asyncio.run(crowd.send(requests))
        settled(10)
    assert not watchman.violations, watchman.violations[:5]
    assert not (found := broken()), found
    assert not rig.missing()
    for budget in Budget.objects.all():
        assert budget.posted_nusd + budget.held_nusd <= budget.limit_nusd, budget
        assert budget.held_nusd == 0
    whole.refresh_from_db()
    share = whole.posted_nusd / whole.limit_nusd
    ok = RequestLog.objects.filter(state="ok", usage_source="reported")
    posted = sum(ok.values_list("cost_nusd", flat=True))
    assert posted == rig.billed(ok)
    print(  # noqa: T201  # the figures of docs/money.md
        f"\nT1: {requests} requests, {at_once} at once, 2 processes: used {share:.2%} of the gateway's budget, overshoot 0 in "
        f"{watchman.looks} looks; {ok.count()} answers billed {posted} nUSD, the simulator says the same; callers saw {dict(crowd.seen)}"
    )
    assert share >= 0.98, crowd.seen
    assert crowd.seen["insufficient_quota"] + crowd.seen["budget_in_flight"] > 0


def _until_seen(rig: Rig, keys: list[str]) -> None:
    """Each process knows the new keys within two seconds."""
    import time

    until = time.monotonic() + 15
    for process in rig.processes.running:
        answers = [0]
        while answers != [200] * len(keys):
            assert time.monotonic() < until, answers
            time.sleep(0.1)
            with rig.processes.only(process):
                answers = _asked(rig, keys)


def _asked(rig: Rig, keys: list[str]) -> list[int]:
    import httpx

    with httpx.Client(trust_env=False, timeout=5) as http:
        return [http.get(f"{rig.processes.url}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code for key in keys]


def test_a_hundred_callers_never_pass_a_nested_budget(two: Rig) -> None:
    race(two, requests=240, at_once=60, limit_nusd=2_600_000)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_thousand_requests_a_hundred_at_once_never_pass_a_nested_budget(two: Rig) -> None:
    race(two, requests=1000, at_once=100, limit_nusd=9_000_000)
