"""The queue itself: claims, fences, dead runners. No line is executed here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from llm_gateway.engine.batch_lines import Ended, Line, Returned

from .conftest import Lane, chat

LEASE = timedelta(seconds=60)


@pytest.fixture
def batch(lane: Lane) -> Iterator[Any]:
    from llm_gateway.models import Batch
    from llm_gateway.stores import batch_ends

    made = lane.create([chat(n) for n in range(1, 13)]).json()
    row = Batch.objects.get(pk=UUID(made["id"].removeprefix("batch_")))
    yield row
    batch_ends.cancel(row.pk, datetime.now(UTC))
    assert_counted()
    Batch.objects.all().delete()


def take(count: int, runner: str = "one", at: datetime | None = None) -> list[Line]:
    from llm_gateway.stores.batch_queue import Claims
    from llm_gateway.stores.batch_queue import take as claim

    claims = Claims(free=count, rooms={}, usual=1000, most_bytes=1 << 30, runner=runner, lease=LEASE)
    found = claim(claims, at or datetime.now(UTC))
    assert_counted()
    return found


def put(*outcomes: Any) -> int:
    from llm_gateway.stores.batch_queue import put as write

    written = write(outcomes, datetime.now(UTC))
    assert_counted()
    return written


def ended(line: Line, completed: bool = True) -> Ended:
    return Ended(line=line, completed=completed, status=200 if completed else 400, error_code="", body=b"{}", result_bytes=100)


def assert_counted() -> None:
    """BT1 and BT2: the counts are those of the lines, and a line has one result."""
    from llm_gateway.models import Batch, BatchLine, BatchResult

    for batch in Batch.objects.exclude(total=0):
        states = list(BatchLine.objects.filter(batch=batch).values_list("state", flat=True))
        assert len(states) == batch.total
        for name in ("queued", "running", "completed", "failed", "expired", "cancelled"):
            assert states.count(name) == getattr(batch, name), name
        with_result = BatchResult.objects.filter(line__batch=batch).count()
        assert with_result <= batch.completed + batch.failed


def test_two_runners_never_hold_the_same_line_and_only_the_holder_ends_it(batch: Any) -> None:
    from llm_gateway.models import BatchLine

    first, second = take(5, "one"), take(5, "two")
    assert {line.number for line in first} == {1, 2, 3, 4, 5}
    assert {line.number for line in second} == {6, 7, 8, 9, 10}
    assert put(*[ended(line) for line in first]) == 5
    # The same end once more, and an end by somebody whose fence is gone.
    assert put(ended(first[0])) == 0
    BatchLine.objects.filter(pk=second[0].id).update(request_id=UUID(int=7))
    assert put(ended(second[0]), ended(second[1], completed=False)) == 1
    batch.refresh_from_db()
    assert (batch.completed, batch.failed, batch.running, batch.queued) == (5, 1, 4, 2)


def test_a_dead_runner_s_line_is_queued_once_more_if_its_request_may_have_been_sent_and_without_counting_if_not(
    batch: Any, lane: Lane
) -> None:
    from llm_gateway.models import BatchLine
    from llm_gateway.stores.batch_queue import reap

    lines = take(4, "dead")
    row_of(lines[1], lane, "rejected")
    row_of(lines[2], lane, "orphaned")
    row_of(lines[3], lane, "open")
    assert reap(datetime.now(UTC)) == 0  # all leases hold
    BatchLine.objects.filter(runner="dead").update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    assert reap(datetime.now(UTC)) == 3
    assert_counted()
    after = {row.number: row for row in BatchLine.objects.filter(pk__in=[line.id for line in lines])}
    assert [(after[n].state, after[n].executions) for n in (1, 2, 3, 4)] == [("queued", 0), ("queued", 0), ("queued", 1), ("running", 1)]
    assert after[3].earlier_id == lines[2].request_id
    # The second execution dies, too.
    again = next(line for line in take(12, "dead too") if line.number == 3)
    assert again.request_id != lines[2].request_id
    row_of(again, lane, "orphaned")
    BatchLine.objects.filter(pk=again.id).update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    assert reap(datetime.now(UTC)) == 1
    row = BatchLine.objects.get(pk=again.id)
    assert (row.state, row.error_code, row.executions) == ("failed", "interrupted", 2)
    # Whoever held it first comes back with an answer: too late.
    assert put(ended(lines[2])) == 0
    forget_rows()


def test_a_line_that_goes_back_waits_for_its_time_and_a_refused_budget_pauses_its_batch(batch: Any) -> None:
    now = datetime.now(UTC)
    first, second = take(2)
    assert put(Returned(line=first, wait_s=30.0)) == 1
    assert [line.number for line in take(2)] == [3, 4]
    assert first.number in [line.number for line in take(20, at=now + timedelta(seconds=31))]
    assert put(Returned(line=second, pause="The budget is used up.")) == 1
    batch.refresh_from_db()
    assert (batch.state, batch.pause_reason) == ("in_progress", "The budget is used up.")
    assert take(5) == []


def test_cancelling_ends_what_waits_at_once_and_the_batch_with_its_last_running_line(batch: Any) -> None:
    from llm_gateway.stores import batch_ends

    first, second = take(2)
    batch_ends.cancel(batch.pk, datetime.now(UTC))
    assert_counted()
    batch.refresh_from_db()
    assert (batch.state, batch.cancelled, batch.running) == ("cancelling", 10, 2)
    assert take(5) == []
    put(ended(first))
    put(Returned(line=second, sent=True))
    batch.refresh_from_db()
    assert (batch.state, batch.completed, batch.cancelled, batch.running) == ("cancelled", 1, 11, 0)


def test_at_the_end_of_the_window_what_waits_expires_uncharged_and_what_runs_is_finished(batch: Any, lane: Lane) -> None:
    from llm_gateway.models import Batch
    from llm_gateway.stores import batch_ends

    (line,) = take(1)
    Batch.objects.filter(pk=batch.pk).update(ends_at=datetime.now(UTC) - timedelta(seconds=1))
    assert take(1) == []
    batch_ends.sweep(datetime.now(UTC))
    assert_counted()
    put(ended(line))
    told = lane.get(f"/v1/batches/{batch}").json()
    assert told["status"] == "expired"
    expired = lane.results(told, "error_file_id")
    assert len(expired) == 11
    assert expired[0]["error"]["code"] == "batch_expired"
    meta = lane.get(f"/v1/files/{told['error_file_id']}").json()
    assert meta["bytes"] == len(lane.get(f"/v1/files/{told['error_file_id']}/content").content)


def row_of(line: Line, lane: Lane, state: str) -> None:
    from llm_gateway.models import RequestLog

    now = datetime.now(UTC)
    RequestLog.objects.create(
        id=line.request_id, created_at=now, finished_at=None if state == "open" else now, state=state, kind="chat", dialect="openai_chat",
        team=lane.gateway.rows.team, lease_until=now + LEASE if state == "open" else None, batch_id=line.batch, origin="batch",
    )  # fmt: skip


def forget_rows() -> None:
    from llm_gateway.models import RequestLog

    RequestLog.objects.filter(kind="chat", attempt_count=0).delete()
