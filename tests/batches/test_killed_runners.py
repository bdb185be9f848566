"""Runners are killed at random moments: no line is lost, none has two results, every count and every cent adds up at every look."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import pytest

from tests.money.rig import Watchman as Watching
from tests.money.rig import broken, settled

from .processes import Runners, line, shop, until_ended

SEED = 20261130


class Watchman(Watching):
    """BT1 at every look: the counts of a batch are those of its lines, in one snapshot of the database."""

    def _watch(self) -> None:
        from django.db import connection

        names = ("queued", "running", "completed", "failed", "expired", "cancelled")
        # One statement sees one moment on both databases.
        counted = ", ".join(f"(SELECT COUNT(*) FROM llm_gateway_batchline l WHERE l.batch_id = b.id AND l.state = '{n}')" for n in names)
        sql = f"SELECT b.total, {', '.join('b.' + n for n in names)}, {counted} FROM llm_gateway_batch b WHERE b.total > 0"
        try:
            while not self._done.wait(0.3):
                with connection.cursor() as cursor:
                    cursor.execute(sql)
                    for total, *rest in cursor.fetchall():
                        self.looks += 1
                        if sum(rest[:6]) != total or rest[:6] != rest[6:]:
                            self.violations.append(f"{total}: {rest}")
        finally:
            connection.close()


def kill_under_way(lines: int, kills: int, runners: int, within_s: float) -> None:
    from django.db.models import Sum

    from llm_gateway.models import BatchLine, BatchResult, LedgerEntry, RequestLog

    draw = random.Random(SEED)
    with shop(latency_ms=15) as (simulator, maker):
        # Each line names a model of its own, so that the simulator's journal can be put beside the results.
        batch = maker.batch(line(n, f"chat/r{n}" + ("-fault:status:400" if n % 10 == 0 else "")) for n in range(1, lines + 1))
        assert batch.state in ("in_progress", "validating")
        going = Runners(runners, places=16)
        in_flight = 0
        try:
            with Watchman() as watchman:
                for _ in range(kills):
                    done = _done(batch)
                    deadline = time.monotonic() + 60
                    while _done(batch) < done + max(1, lines // (kills * 2)) and time.monotonic() < deadline:
                        time.sleep(0.02)
                    time.sleep(draw.uniform(0.0, 0.1))
                    in_flight += BatchLine.objects.filter(batch=batch, state="running").count()
                    going.kill(draw)
                until_ended([batch], within_s)
                settled(60)
        finally:
            going.stop()
        assert not watchman.violations, watchman.violations[:5]
        assert watchman.looks > 3
        assert not (found := broken()), found
        states = Counter(BatchLine.objects.filter(batch=batch).values_list("state", "error_code"))
        interrupted = states[("failed", "interrupted")]
        assert batch.total == lines == batch.completed + batch.failed
        assert BatchResult.objects.filter(line__batch=batch).count() == lines - interrupted
        assert batch.failed == lines // 10 + interrupted - _interrupted_faults(batch)
        rows = RequestLog.objects.filter(batch_id=batch.pk)
        cost = rows.aggregate(sum=Sum("cost_nusd"))["sum"]
        ledger = LedgerEntry.objects.filter(request__in=rows, kind="request").aggregate(sum=Sum("amount_nusd"))["sum"]
        assert batch.cost_nusd == cost == ledger
        sent = Counter(entry["model"] for entry in simulator.journal if entry["path"].endswith("/chat/completions"))
        assert len(sent) == lines, "a line was never sent"
        twice = sum(1 for count in sent.values() if count > 1)
        assert twice <= in_flight, (twice, in_flight)
        assert max(sent.values()) <= 2
        print(  # noqa: T201  # the figures of docs/batch.md
            f"\n{lines} lines, {kills} SIGKILLs (seed {SEED}): 0 lost, 0 double results, {twice} executed twice of {in_flight} in flight "
            f"at the kills, {interrupted} interrupted; counts added up in {watchman.looks} looks; cost {cost} nUSD = ledger"
        )


def _done(batch: Any) -> int:
    batch.refresh_from_db()
    return int(batch.completed + batch.failed)


def _interrupted_faults(batch: Any) -> int:
    from llm_gateway.models import BatchLine

    numbers = BatchLine.objects.filter(batch=batch, error_code="interrupted").values_list("number", flat=True)
    return sum(1 for number in numbers if number % 10 == 0)


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_three_kills_lose_no_line_and_repeat_none_that_was_answered(test_database: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        kill_under_way(lines=400, kills=3, runners=2, within_s=90)


@pytest.mark.weekly
@pytest.mark.timeout(1500)
def test_twenty_kills_among_ten_thousand_lines_lose_none_and_repeat_none_that_was_answered(
    test_database: None, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock():
        kill_under_way(lines=10_000, kills=20, runners=2, within_s=900)
