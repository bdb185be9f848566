"""What changes about a budget while it counts: its limit, a raise for a time, where its periods begin; and what costs nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from llm_gateway.core.errors import BudgetExhausted, BudgetInFlight
from llm_gateway.models import Alert, Budget

from .bench import Bench
from .test_budgets import refused, spend


def limited(budget: Any, limit: int) -> None:
    row = Budget.objects.get(pk=budget.pk)
    row.limit_nusd = limit
    row.save()


def told() -> list[tuple[int, int, int]]:
    return list(Alert.objects.filter(kind="threshold").order_by("pk").values_list("threshold", "limit_nusd", "spent_nusd"))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # Raised: what is no longer reached is armed again.
        ([240, "600", 345], [(50, 300, 240), (80, 300, 240), (50, 600, 585), (80, 600, 585)]),
        # Still reached after the raise: told once.
        ([260, "310", 1], [(50, 300, 260), (80, 300, 260)]),
        ([260, "400", 60], [(50, 300, 260), (80, 300, 260), (80, 400, 320)]),
        # Lowered: what it makes true is told, what was told is not told again.
        ([160, "200", 1], [(50, 300, 160), (80, 200, 161)]),
        ([160, "161", 1], [(50, 300, 160), (80, 161, 161), (100, 161, 161)]),
        # Up and down again to the same limit within a period: each limit's thresholds are told once.
        ([240, "600", 10, "300", 1], [(50, 300, 240), (80, 300, 240)]),
        # All at once.
        ([300], [(50, 300, 300), (80, 300, 300), (100, 300, 300)]),
    ],
)
def test_thresholds_belong_to_a_limit(bench: Bench, steps: list[int | str], expected: list[tuple[int, int, int]]) -> None:
    """A number is spent, a text is the new limit."""
    budget = bench.budget(limit=300, thresholds=[50, 80, 100])
    for step in steps:
        limited(budget, int(step)) if isinstance(step, str) else spend(bench, step, budget)
    assert told() == expected
    bench.sound()


def test_a_limit_lowered_below_what_is_spent_is_told_with_the_first_refusal(bench: Bench) -> None:
    budget = bench.budget(limit=1000, thresholds=[50, 80, 100])
    spend(bench, 100, budget)
    limited(budget, 100)
    refused(bench, bench.opening(1, (budget,)))
    refused(bench, bench.opening(1, (budget,)))
    assert told() == [(50, 100, 100), (80, 100, 100), (100, 100, 100)]
    assert list(Alert.objects.exclude(kind="threshold").values_list("kind", "limit_nusd")) == [("exhausted", 100)]
    limited(budget, 150)
    spend(bench, 50, budget)
    refused(bench, bench.opening(1, (budget,)))
    assert Alert.objects.filter(kind="exhausted", limit_nusd=150).count() == 1
    assert told()[3:] == [(80, 150, 150), (100, 150, 150)]


def test_a_raise_in_one_period_does_not_silence_the_next(bench: Bench) -> None:
    budget = bench.budget(limit=100, period="day", thresholds=[50])
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=True):
        spend(bench, 60, budget)
        limited(budget, 200)
        spend(bench, 60, budget)
    with time_machine.travel(datetime(2026, 3, 2, 12, tzinfo=UTC), tick=True):
        spend(bench, 100, budget)
    assert list(Alert.objects.order_by("pk").values_list("period_id", "limit_nusd")) == [
        ("2026-03-01", 100), ("2026-03-01", 200), ("2026-03-02", 200),
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [0, 40, 100])
def test_what_costs_nothing_passes_a_budget_that_is_used_up(bench: Bench, limit: int) -> None:
    """Also nested ones, and one whose limit was lowered under what was spent."""
    lowered, outer = bench.budget(limit=1000), bench.budget("outer", 100)
    spend(bench, 100, lowered, outer)
    limited(lowered, limit)
    assert refused(bench, bench.opening(1, (lowered, outer)))
    free = bench.opening(0, (lowered, outer))
    bench.run(bench.journal.open(free))
    bench.run(bench.journal.settle(bench.settlement(free, 0)))
    assert bench.row(free).state == "ok"
    assert bench.figures(lowered) == bench.figures(outer) == (100, 0)


def raised(budget: Any, extra: int, until: datetime) -> None:
    row = Budget.objects.get(pk=budget.pk)
    row.extra_nusd, row.extra_until = extra, until
    row.save()


NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_a_raise_lets_more_through_until_its_end_and_what_was_spent_then_stays(bench: Bench) -> None:
    budget = bench.budget(limit=100, period="month", thresholds=[50, 100])
    with time_machine.travel(NOON, tick=True):
        spend(bench, 100, budget)
        assert isinstance(refused(bench, bench.opening(1, (budget,))), BudgetExhausted)
        raised(budget, 100, NOON + timedelta(hours=1))
        spend(bench, 60, budget)
        running = bench.opening(40, (budget,))
        bench.run(bench.journal.open(running))
        assert isinstance(refused(bench, bench.opening(1, (budget,))), BudgetInFlight | BudgetExhausted)
    with time_machine.travel(NOON + timedelta(hours=1), tick=True):
        # What runs is settled, nothing more is let in, what is free passes.
        error = refused(bench, bench.opening(1, (budget,)))
        assert isinstance(error, BudgetExhausted)
        assert error.details is not None
        assert error.details["limit_usd"] == "0.0000001"
        bench.run(bench.journal.open(free := bench.opening(0, (budget,))))
        bench.run(bench.journal.settle(bench.settlement(running, 40)))
        bench.run(bench.journal.settle(bench.settlement(free, 0)))
        bench.sound()
    budget.refresh_from_db()
    assert (budget.posted_nusd, budget.held_nusd, budget.extra_nusd, budget.extra_until, budget.excess_nusd) == (200, 0, 0, None, 100)
    with time_machine.travel(NOON + timedelta(days=31), tick=True):
        spend(bench, 100, budget)
        assert isinstance(refused(bench, bench.opening(1, (budget,))), BudgetExhausted)
        bench.sound()


def test_a_raise_that_nobody_used_ends_without_a_trace(bench: Bench) -> None:
    budget = bench.budget(limit=100, period="day")
    with time_machine.travel(NOON, tick=True):
        raised(budget, 50, NOON + timedelta(minutes=5))
        spend(bench, 30, budget)
    with time_machine.travel(NOON + timedelta(minutes=5), tick=True):
        spend(bench, 70, budget)
        assert isinstance(refused(bench, bench.opening(1, (budget,))), BudgetExhausted)
    budget.refresh_from_db()
    assert (budget.extra_nusd, budget.excess_nusd) == (0, 0)


def test_a_budget_begins_anew_at_its_own_hour(bench: Bench) -> None:
    budget = bench.budget(limit=100, period="day", timezone="Europe/Berlin", reset_hour=9)
    with time_machine.travel(datetime(2026, 7, 1, 6, 59, 30, tzinfo=UTC), tick=False) as clock:
        spend(bench, 100, budget)
        error = refused(bench, bench.opening(1, (budget,)))
        assert isinstance(error, BudgetExhausted)
        assert error.retry_after_s == 30
        assert error.details is not None
        assert error.details["reset_at"] == "2026-07-01T07:00:00+00:00"
        clock.shift(30)
        spend(bench, 100, budget)
    budget.refresh_from_db()
    assert budget.period_id == "d20260701T09"
    bench.sound()
