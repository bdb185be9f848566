"""Hard budgets never overshoot, nested ones hold together, soft ones only tell; periods change once."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.errors import BudgetExhausted, BudgetInFlight, GatewayError, RequestExceedsBudget
from llm_gateway.models import Alert, Budget, LedgerEntry
from llm_gateway.policies.periods import period_bounds, period_id
from llm_gateway.stores.batch import Op, commit
from llm_gateway.stores.holds import BudgetBook
from llm_gateway.stores.plain import plain
from llm_gateway.stores.rows import Writer

from .bench import Bench


def refused(bench: Bench, opening: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        bench.run(bench.journal.open(opening))
    return caught.value


def spend(bench: Bench, amount: int, *budgets: Budget) -> None:
    opened = bench.opening(amount, budgets)
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, amount)))


def test_a_used_up_budget_says_why_and_until_when(bench: Bench) -> None:
    budget = bench.budget("team", 100, period="month", timezone="Europe/Berlin")
    spend(bench, 95, budget)
    error = refused(bench, bench.opening(10, (budget,)))
    assert isinstance(error, BudgetExhausted)
    assert (error.status, error.code, error.retryable) == (429, "insufficient_quota", False)
    assert error.details is not None
    _, end = period_bounds("month", "Europe/Berlin", datetime.now(UTC))
    assert end is not None
    assert error.details["reset_at"] == end.isoformat()
    assert error.details["budget"] == "team"
    assert error.details["spent_usd"] == "0.000000095"
    assert end.isoformat() in error.message
    if (end - datetime.now(UTC)).total_seconds() > 60:
        assert error.retry_after_s is None


def test_a_budget_that_is_only_reserved_says_when_to_come_back(bench: Bench) -> None:
    budget = bench.budget(limit=100)
    running = bench.opening(95, (budget,))
    bench.run(bench.journal.open(running))
    error = refused(bench, bench.opening(10, (budget,)))
    assert isinstance(error, BudgetInFlight)
    assert (error.status, error.code, error.retryable) == (429, "budget_in_flight", True)
    assert error.retry_after_s is not None
    assert 1 <= error.retry_after_s <= 5
    bench.run(bench.journal.settle(bench.settlement(running, 0)))


def test_a_request_larger_than_the_whole_budget_is_told_so(bench: Bench) -> None:
    error = refused(bench, bench.opening(101, (bench.budget(limit=100),)))
    assert isinstance(error, RequestExceedsBudget)
    assert (error.status, error.code, error.retryable) == (402, "request_exceeds_budget", False)


def test_of_several_refusals_the_most_lasting_is_told(bench: Bench) -> None:
    reserved, used_up, small = bench.budget("reserved", 100), bench.budget("used up", 100), bench.budget("small", 5)
    running = bench.opening(95, (reserved,))
    bench.run(bench.journal.open(running))
    spend(bench, 95, used_up)
    assert isinstance(refused(bench, bench.opening(10, (reserved, used_up))), BudgetExhausted)
    assert isinstance(refused(bench, bench.opening(10, (reserved, used_up, small))), RequestExceedsBudget)
    bench.run(bench.journal.settle(bench.settlement(running, 0)))


def test_nested_budgets_hold_all_or_nothing(bench: Bench) -> None:
    roomy = [bench.budget(name, 1000) for name in ("key", "team", "gateway", "provider")]
    tight = bench.budget("model", 50)
    assert isinstance(refused(bench, bench.opening(60, (*roomy, tight))), RequestExceedsBudget)
    assert [bench.figures(b) for b in (*roomy, tight)] == [(0, 0)] * 5
    opened = bench.opening(40, (*roomy, tight))
    bench.run(bench.journal.open(opened))
    assert [bench.figures(b) for b in (*roomy, tight)] == [(0, 40)] * 5
    bench.run(bench.journal.settle(bench.settlement(opened, 30)))
    assert [bench.figures(b) for b in (*roomy, tight)] == [(30, 0)] * 5


def test_a_soft_budget_never_refuses_and_still_counts(bench: Bench) -> None:
    budget = bench.budget(limit=100, hard=False, thresholds=[50, 100])
    for _ in range(4):
        spend(bench, 60, budget)
    assert bench.figures(budget) == (240, 0)
    assert list(Alert.objects.order_by("threshold").values_list("kind", "threshold", "spent_nusd")) == [
        ("threshold", 50, 60), ("threshold", 100, 120),
    ]  # fmt: skip


def test_a_disabled_or_deleted_budget_does_not_bind(bench: Bench) -> None:
    off, gone = bench.budget("off", 10, enabled=False), bench.budget("gone", 10)
    number = gone.pk
    gone.delete()
    opened = bench.opening(100, (off, number))
    bench.run(bench.journal.open(opened))
    assert bench.entries(opened) == []
    bench.run(bench.journal.settle(bench.settlement(opened, 90)))


def test_a_provider_that_bills_above_the_hold_is_posted_in_full_alarmed_and_stops_the_next(bench: Bench) -> None:
    budget = bench.budget(limit=100)
    opened = bench.opening(50, (budget,))
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.settle(bench.settlement(opened, 130, flags="overrun")))
    assert bench.figures(budget) == (130, 0)
    assert Alert.objects.get().kind == "overrun"
    assert isinstance(refused(bench, bench.opening(1, (budget,))), BudgetExhausted)


def test_the_first_refusal_of_a_used_up_budget_alerts_once(bench: Bench) -> None:
    budget = bench.budget(limit=100)
    spend(bench, 98, budget)
    for _ in range(3):
        refused(bench, bench.opening(5, (budget,)))
    assert [(a.kind, a.budget_name, a.spent_nusd) for a in Alert.objects.all()] == [("exhausted", "b", 98)]


def test_a_threshold_alerts_once_in_each_period(bench: Bench) -> None:
    budget = bench.budget(limit=100, period="day", thresholds=[50])
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=True):
        spend(bench, 30, budget)
        spend(bench, 30, budget)
        spend(bench, 30, budget)
    with time_machine.travel(datetime(2026, 3, 2, 12, tzinfo=UTC), tick=True):
        spend(bench, 60, budget)
    assert list(Alert.objects.order_by("pk").values_list("period_id", "threshold")) == [("2026-03-01", 50), ("2026-03-02", 50)]


def test_a_limit_that_is_lowered_under_what_runs_holds_and_settles_on(bench: Bench) -> None:
    """The schema keeps posted + held within the limit; what is above it already stays, and nothing more comes in."""
    budget = bench.budget(limit=1000)
    running = [bench.opening(300, (budget,)) for _ in range(2)]
    for opened in running:
        bench.run(bench.journal.open(opened))
    row = Budget.objects.get(pk=budget.pk)
    row.limit_nusd = 250
    row.save()
    assert row.excess_nusd == 350
    assert isinstance(refused(bench, bench.opening(1, (budget,))), BudgetExhausted | BudgetInFlight)
    for opened in running:
        bench.run(bench.journal.settle(bench.settlement(opened, 100)))
    row.refresh_from_db()
    assert (row.posted_nusd, row.held_nusd, row.excess_nusd) == (200, 0, 0)
    spend(bench, 50, budget)


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": False},
        {"period": "day"},
        {"timezone": "Pacific/Kiritimati", "period": "day"},
        {"hard": False},
        {"limit_nusd": 0},
        None,
    ],
    ids=str,
)
def test_a_budget_may_be_changed_while_requests_run(bench: Bench, change: dict[str, Any] | None) -> None:
    """Disabled, moved to another period, softened, lowered or deleted: what was held ends in the ledger, and the sums agree."""
    changing, other = bench.budget("changing", 1000), bench.budget("other", 1000)
    opened = [bench.opening(300, (changing, other)) for _ in range(2)]
    for one in opened:
        bench.run(bench.journal.open(one))
    row = Budget.objects.get(pk=changing.pk)
    if change is None:
        row.delete()
    else:
        for name, value in change.items():
            setattr(row, name, value)
        row.save()
    bench.run(bench.journal.settle(bench.settlement(opened[0], 120)))
    spend(bench, 10, other)
    bench.run(bench.journal.settle(bench.settlement(opened[1], 80)))
    assert bench.figures(other) == (210, 0)
    assert sorted(entry.amount_nusd for entry in LedgerEntry.objects.exclude(budget=other)) == [80, 120]
    assert not LedgerEntry.objects.filter(state="held").exists()
    # A limit below what was spent is what a strict audit tells of.
    Budget.objects.filter(pk=changing.pk).delete()


def test_a_hold_that_the_code_did_not_refuse_is_refused_by_the_schema(bench: Bench) -> None:
    budget = bench.budget(limit=100)
    with pytest.raises(IntegrityError), transaction.atomic():
        Budget.objects.filter(pk=budget.pk).update(held_nusd=101)


def test_a_limit_lowered_below_a_threshold_alerts_with_the_next_charge(bench: Bench) -> None:
    budget = bench.budget(limit=1000, thresholds=[80])
    spend(bench, 500, budget)
    row = Budget.objects.get(pk=budget.pk)
    row.limit_nusd = 510
    row.save()
    spend(bench, 5, budget)
    spend(bench, 1, budget)
    assert [(a.threshold, a.spent_nusd) for a in Alert.objects.filter(kind="threshold")] == [(80, 505)]


def test_thousands_of_concurrent_opens_never_pass_the_limit_and_use_it_up(bench: Bench) -> None:
    outer, inner = bench.budget("outer", 48_300), bench.budget("inner", 21_000)
    seen: list[int] = []

    async def one(number: int) -> None:
        opened = bench.opening(50, (outer, inner) if number % 2 else (outer,))
        try:
            await bench.journal.open(opened)
        except (BudgetExhausted, BudgetInFlight):  # told so, and not refused by the schema for want of counting
            return
        await asyncio.sleep(0)
        await bench.journal.settle(bench.settlement(opened, (50, 0, 50)[number % 3]))

    async def crowd() -> None:
        for start in range(0, 2400, 100):
            await asyncio.gather(*(one(n) for n in range(start, start + 100)))

    bench.run(crowd())
    for budget in (outer, inner):
        posted, held = bench.figures(budget)
        seen.append(posted)
        assert held == 0
        assert posted <= budget.limit_nusd
    assert seen[0] >= 0.98 * outer.limit_nusd


# Periods and clocks (T21).

EDGES = [
    ("day", "UTC", datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC), "2026-06-30", "2026-07-01"),
    ("day", "America/New_York", datetime(2026, 7, 1, 3, 59, 59, tzinfo=UTC), "2026-06-30", "2026-07-01"),
    ("week", "UTC", datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC), "2026-W47", "2026-W48"),
    ("week", "UTC", datetime(2027, 1, 3, 23, 59, 59, tzinfo=UTC), "2026-W53", "2027-W01"),
    ("month", "Asia/Kolkata", datetime(2026, 11, 30, 18, 29, 59, tzinfo=UTC), "2026-11", "2026-12"),
    # Clocks go forward on 29 March and back on 25 October in Berlin; the day has 23 and 25 hours.
    ("day", "Europe/Berlin", datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC), "2026-03-29", "2026-03-30"),
    ("day", "Europe/Berlin", datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC), "2026-10-25", "2026-10-26"),
    # Midnight itself does not exist there on that day.
    ("day", "Africa/Cairo", datetime(2026, 4, 23, 21, 59, 59, tzinfo=UTC), "2026-04-23", "2026-04-24"),
]


@pytest.mark.parametrize(("period", "zone", "last", "before", "after"), EDGES)
def test_a_period_ends_at_midnight_of_its_own_zone(period: str, zone: str, last: datetime, before: str, after: str) -> None:
    first = last + timedelta(seconds=1)
    assert (period_id(period, zone, last), period_id(period, zone, first)) == (before, after)
    assert period_bounds(period, zone, last)[1] == first
    assert period_bounds(period, zone, first)[0] == first


@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), st.sampled_from(["day", "week", "month"]))
def test_periods_follow_each_other_without_gap_or_overlap(now: datetime, period: str) -> None:
    for zone in ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kathmandu", "Nowhere/Land"):
        start, end = period_bounds(period, zone, now)
        assert start is not None
        assert end is not None
        assert start <= now < end
        inside = {period_id(period, zone, moment) for moment in (start, now, end - timedelta(microseconds=1))}
        assert len(inside) == 1
        assert period_id(period, zone, end) not in inside
        assert period_bounds(period, zone, end)[0] == end


def test_a_new_period_begins_at_nothing_and_what_ends_late_stays_in_the_old_one(bench: Bench) -> None:
    budget = bench.budget(limit=100, period="day")
    with time_machine.travel(datetime(2026, 5, 1, 23, 59, 50, tzinfo=UTC), tick=True):
        spend(bench, 40, budget)
        running = bench.opening(60, (budget,))
        bench.run(bench.journal.open(running))
        assert isinstance(refused(bench, bench.opening(10, (budget,))), BudgetInFlight)
    with time_machine.travel(datetime(2026, 5, 2, 0, 0, 10, tzinfo=UTC), tick=True):
        spend(bench, 90, budget)
        bench.run(bench.journal.settle(bench.settlement(running, 50)))
        assert bench.figures(budget) == (90, 0)
        assert budget.period_id == "2026-05-02"


def test_a_clock_that_jumps_over_midnight_and_back_neither_resets_twice_nor_loses_anything(bench: Bench) -> None:
    budget = bench.budget(limit=100, period="day")
    for at, amount, expected in (
        (datetime(2026, 5, 1, 23, 30, tzinfo=UTC), 60, 60),
        (datetime(2026, 5, 2, 0, 30, tzinfo=UTC), 10, 10),  # an hour too early
        (datetime(2026, 5, 1, 23, 31, tzinfo=UTC), 20, 80),  # put right
        (datetime(2026, 5, 2, 0, 1, tzinfo=UTC), 30, 40),  # the real midnight
        (datetime(2027, 5, 2, 0, 1, tzinfo=UTC), 5, 5),  # a year off does not freeze the budget
        (datetime(2026, 5, 2, 0, 2, tzinfo=UTC), 1, 41),
    ):
        with time_machine.travel(at, tick=True):
            spend(bench, amount, budget)
            assert bench.figures(budget) == (expected, 0)
    bench.sound()


def test_an_edited_period_starts_from_what_was_spent_in_it(bench: Bench) -> None:
    budget = bench.budget(limit=100, period="month")
    spend(bench, 60, budget)
    for period in ("day", "total", "month"):
        Budget.objects.filter(pk=budget.pk).update(period=period)
        spend(bench, 1, budget)
    assert bench.figures(budget) == (61, 0)


def test_two_processes_reset_a_budget_once(still: Bench) -> None:
    budget = still.budget(limit=10**6, period="day", period_id="2020-01-01", posted_nusd=0)
    now = datetime.now(UTC)
    openings = [still.opening(10, (budget,)) for _ in range(40)]
    failures: list[BaseException] = []

    def process(mine: list[Any], worker: str) -> None:
        try:
            writer = Writer()
            for opened in mine:
                commit([Op("open", opened)], writer, worker, 30, now)
                commit([Op("settle", plain(still.settlement(opened, 7)))], writer, worker, 30, now)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=process, args=(openings[i::2], f"w{i}")) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert still.figures(budget) == (40 * 7, 0)


def test_a_mistyped_timezone_counts_as_utc(bench: Bench) -> None:
    budget = bench.budget(limit=100, period="day", timezone="Mars/Olympus")
    spend(bench, 10, budget)
    assert bench.figures(budget) == (10, 0)


@pytest.mark.django_db
def test_a_book_reads_no_budget_where_none_is_touched(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        BudgetBook((), datetime.now(UTC)).save()


def test_a_providers_budget_is_charged_for_its_own_attempts_only(bench: Bench) -> None:
    """Two attempts were billed: 40 by a provider that broke off, 60 by the one that answered."""
    from llm_gateway.models import LanguageModel, Provider

    other = Provider.objects.create(slug="other", title="O", service="custom", wire="openai_chat", base_url="http://127.0.0.1:9")
    second = LanguageModel.objects.create(provider=other, upstream_id="m2", name="other/m2")
    whole = bench.budget("whole", 10**6)
    first_only, second_only = bench.budget("first", 10**6, provider=bench.provider), bench.budget("second", 10**6, model=second)
    opened = bench.opening(500, (whole, first_only))
    bench.run(bench.journal.open(opened))
    bench.run(bench.journal.reserve(opened, bench.target((first_only.pk, second_only.pk)), 500))
    (attempt,) = bench.settlement(opened, 40).attempts
    broke = msgspec.structs.replace(attempt, outcome="partial", billed="estimate")
    answered = msgspec.structs.replace(attempt, number=2, provider_id=other.pk, model_id=second.pk, cost_nusd=60)
    bench.run(bench.journal.settle(bench.settlement(opened, 100, attempts=(broke, answered))))
    assert [bench.figures(b) for b in (whole, first_only, second_only)] == [(100, 0), (40, 0), (60, 0)]
