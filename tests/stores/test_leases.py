"""Rows of dead processes end; rows of living ones do not; what is learned late is adjusted."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from llm_gateway.models import Attempt, LedgerEntry, RequestLog
from llm_gateway.stores import leases
from llm_gateway.stores.batch import Op, commit
from llm_gateway.stores.plain import plain
from llm_gateway.stores.reaper import GRACE, reap
from llm_gateway.stores.rows import Writer
from tests.support.clock import Stopwatch

from .bench import Bench


def write(bench: Bench, kind: str, work: Any, worker: str = "dead") -> None:
    op = Op(kind, work)
    commit([op], Writer(), worker, 30, timezone.now())
    assert op.error is None


def test_an_expired_row_is_orphaned_and_charged_its_hold(still: Bench) -> None:
    budget = still.budget()
    dead, alive = still.opening(100, (budget,)), still.opening(30, (budget,))
    write(still, "open", dead)
    write(still, "open", alive)
    still.expire(dead)
    assert reap(timezone.now()) == 1
    row = still.row(dead)
    assert (row.state, row.cost_nusd, row.error_code, row.usage_source, row.lease_until) == ("orphaned", 100, "orphaned", "estimated", None)
    assert still.entries(dead) == [("request", "posted", 100)]
    assert still.row(alive).state == "open"
    assert still.figures(budget) == (100, 30)
    assert reap(timezone.now()) == 0


def test_more_orphans_than_a_chunk_are_all_closed(still: Bench) -> None:
    openings = [still.opening(1) for _ in range(230)]
    commit([Op("open", o) for o in openings], Writer(), "dead", 30, timezone.now())
    still.expire(*openings)
    assert reap(timezone.now()) == 230


def test_a_lease_that_has_just_run_out_is_given_a_moment(still: Bench) -> None:
    opened = still.opening(1)
    write(still, "open", opened)
    now = timezone.now()
    RequestLog.objects.update(lease_until=now - GRACE / 2)
    assert reap(now) == 0
    assert reap(now + GRACE) == 1


def test_a_start_reaps_what_the_last_run_left(still: Bench) -> None:
    budget = still.budget()
    opened = still.opening(100, (budget,))
    write(still, "open", opened)
    still.expire(opened)
    with still.running():
        watch = Stopwatch()
        while still.row(opened).state == "open" and watch.took_s < 5:
            time.sleep(0.02)
    assert still.row(opened).state == "orphaned"


def test_a_long_request_keeps_its_lease(still: Bench) -> None:
    journal = still.new_journal("slow", lease_s=1.0)
    opened = still.opening(100)
    with still.running(journal):
        still.run(journal.open(opened))
        first = still.row(opened).lease_until
        watch = Stopwatch()
        while still.row(opened).lease_until == first and watch.took_s < 5:
            time.sleep(0.02)
        assert still.row(opened).lease_until > first
        still.run(journal.settle(still.settlement(opened, 1)))


def test_a_settlement_after_the_reaper_books_the_difference_once(still: Bench) -> None:
    near, far = still.budget("near"), still.budget("far", limit=10**6)
    opened = still.opening(100, (near, far))
    write(still, "open", opened)
    still.expire(opened)
    reap(timezone.now())
    assert (still.figures(near), still.figures(far)) == ((100, 0), (100, 0))
    late = plain(still.settlement(opened, 35))
    write(still, "settle", late)
    write(still, "settle", late)
    assert (still.figures(near), still.figures(far)) == ((35, 0), (35, 0))
    row = still.row(opened)
    assert (row.state, row.cost_nusd, row.flags, row.attempt_count, row.output_tokens) == ("orphaned", 100, "late", 1, 2)
    assert Attempt.objects.filter(request=row).count() == 1
    own = LedgerEntry.objects.filter(request=row, kind="adjustment")
    assert sorted(own.values_list("budget__name", "amount_nusd"), key=str) == sorted(
        [(None, -65), ("near", -65), ("far", -65)], key=str
    )  # fmt: skip


def test_an_orphan_of_an_unknown_price_settled_late_keeps_its_charge(still: Bench) -> None:
    budget = still.budget()
    opened = still.opening(100, (budget,))
    write(still, "open", opened)
    still.expire(opened)
    reap(timezone.now())
    write(still, "settle", plain(still.settlement(opened, None, charge=100)))
    assert still.figures(budget) == (100, 0)
    assert not LedgerEntry.objects.filter(kind="adjustment").exists()


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_clock_that_jumps_reaps_nobody_for_the_length_of_a_lease(jump_s: float) -> None:
    clock = leases.Clock()
    assert clock.steady(1000.0, 10.0, 30)
    assert clock.steady(1005.01, 15.0, 30)
    assert not clock.steady(1010.0 + jump_s, 20.0, 30)
    assert not clock.steady(1035.0 + jump_s, 45.0, 30)
    assert clock.steady(1041.0 + jump_s, 51.0, 30)


def test_a_request_that_ends_before_it_began_by_the_wall_clock_is_logged_in_order(still: Bench) -> None:
    now = time.time()
    opened = still.opening(10, at=now)
    write(still, "open", opened)
    write(still, "settle", plain(still.settlement(opened, 1, at=now - 3600)))
    row = still.row(opened)
    assert row.finished_at >= row.created_at


def test_the_same_row_is_reaped_once_by_two_processes(still: Bench) -> None:
    import threading

    from django.db import connection

    budget = still.budget(limit=10**6)
    openings = [still.opening(10, (budget,)) for _ in range(60)]
    commit([Op("open", o) for o in openings], Writer(), "dead", 30, timezone.now())
    still.expire(*openings)
    counts: list[int] = []

    def process() -> None:
        try:
            counts.append(reap(timezone.now()))
        finally:
            connection.close()

    threads = [threading.Thread(target=process) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(counts) == 60
    assert still.figures(budget) == (600, 0)


def test_nothing_open_costs_the_reaper_one_query(still: Bench, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert reap(timezone.now() + timedelta(days=1)) == 0
