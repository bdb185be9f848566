"""The queue of batches' lines: claimed by one update under the batch's lock, ended by whoever still holds the fence. Blocking.

Every transaction locks the batches it touches first, in the order of their ids, and then changes lines and counts together: BT1 holds at
each commit, claims of several runners do not meet, and a cancellation comes before or after a claim, never in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import F, Q

from llm_gateway.engine.batch_lines import Ended, Line, Outcome, Returned
from llm_gateway.engine.fresh import new_id
from llm_gateway.models import Batch, BatchLine, BatchResult, RequestLog
from llm_gateway.models.batches import MOST_EXECUTIONS
from llm_gateway.policies.batches import GATEWAY, INTERRUPTED, PROVIDER
from llm_gateway.policies.turns import Waiting, turns

from . import vault
from .batch_ends import close
from .connecting import short_transaction

# Of a batch whose lines name several models, so many are looked through for each that is taken.
_LOOKED_THROUGH = 4
# Lines changed under one lock where a whole batch is concerned.
STEP = 2000
# How soon a paused batch is looked at again.
LOOK_AGAIN = timedelta(seconds=10)
_TABLE = BatchLine._meta.db_table
_CLAIM = (
    f"UPDATE {_TABLE} SET state = 'running', request_id = %s, runner = %s, lease_until = %s, executions = executions + 1, "  # noqa: S608  # our own names
    "not_before = NULL WHERE id = %s AND state = 'queued'"
)
_END = (
    f"UPDATE {_TABLE} SET state = %s, status = %s, error_code = %s, result_bytes = %s, ended_at = %s, lease_until = NULL, runner = '' "  # noqa: S608  # our own names
    "WHERE id = %s AND state = 'running' AND request_id = %s"
)
_RESULT = f"INSERT INTO {BatchResult._meta.db_table} (line_id, body) VALUES (%s, %s)"  # noqa: S608  # our own names
_uuid = BatchLine._meta.get_field("request_id")


class _Found(NamedTuple):
    """What is looked at of a queued line."""

    pk: int
    number: int
    custom_id: str
    kind: str
    model: str
    offset: int
    length: int


class Claims(msgspec.Struct, kw_only=True):
    """What one look at the queue may take: see :class:`~llm_gateway.engine.batch_lines.BatchQueue`."""

    free: int
    rooms: dict[str, int]
    usual: int
    most_bytes: int
    runner: str
    lease: timedelta


def take(claims: Claims, now: datetime) -> list[Line]:
    """Claim lines of the batches whose turn it is."""
    free = claims.free
    open_ones = Batch.objects.filter(state="in_progress", pause_reason="", queued__gt=0, ends_at__gt=now).order_by("created_at", "id")
    waiting = [
        # Of a batch in the provider lane, only what fell out of it is ours.
        Waiting(batch=pk, team=team, queued=_fallen(pk, free), running=0, most=free)
        if lane == PROVIDER
        else Waiting(batch=pk, team=team, queued=queued, running=running, most=free)
        for pk, team, queued, running, lane in open_ones.values_list("pk", "team_id", "queued", "running", "lane")
    ]
    grants = dict(turns(waiting, free))
    found: list[Line] = []
    if not grants:
        return found
    with short_transaction():
        locked = Batch.objects.select_for_update(of=("self",)).select_related("client_key").filter(pk__in=grants).order_by("pk")
        for batch in locked:
            if batch.state == "in_progress" and not batch.pause_reason and batch.input_id is not None:
                found += _claim(batch, grants[batch.pk], claims, now)
    return found


def _fallen(batch: UUID, most: int) -> int:
    return BatchLine.objects.filter(batch=batch, state="queued", lane=GATEWAY)[:most].count()


def _claim(batch: Batch, count: int, claims: Claims, now: datetime) -> list[Line]:
    ready = BatchLine.objects.filter(Q(not_before=None) | Q(not_before__lte=now), batch=batch, state="queued")
    if batch.lane == PROVIDER:
        ready = ready.filter(lane=GATEWAY)
    full = [model for model, room in claims.rooms.items() if room <= 0]
    candidates = (ready.exclude(model__in=full) if full else ready).order_by("number")[: count * _LOOKED_THROUGH]
    chosen: list[Line] = []
    # Tuples: a row of the ORM for each costs more than all the rest of a claim.
    for found in candidates.values_list(*_Found._fields):
        one = _Found(*found)
        room = claims.rooms.setdefault(one.model, claims.usual)
        if len(chosen) == count or claims.most_bytes <= 0:
            break
        if room > 0:
            claims.rooms[one.model] = room - 1
            claims.most_bytes -= one.length
            chosen.append(line_of(batch, one, new_id()))
    until = _moment(now + claims.lease)
    _many(_CLAIM, [(_id(line.request_id), claims.runner, until, line.id) for line in chosen])
    if chosen:
        Batch.objects.filter(pk=batch.pk).update(queued=F("queued") - len(chosen), running=F("running") + len(chosen))
    return chosen


def line_of(batch: Batch, row: BatchLine | _Found, request_id: UUID) -> Line:
    assert batch.input_id is not None
    return Line(
        id=row.pk,
        number=row.number,
        custom_id=row.custom_id,
        kind=row.kind,
        model=row.model,
        offset=row.offset,
        length=row.length,
        request_id=request_id,
        batch=batch.pk,
        dialect=batch.dialect,
        named_model=batch.model,
        file=batch.input_id,
        public_id=batch.client_key.public_id,
        team=batch.team_id,
        economy=batch.economy,
        fails_on_budget=batch.on_budget == "fail",
    )


def put(outcomes: Sequence[Outcome], now: datetime) -> int:
    """Write ends and returns of lines whose fence is still ours; how many were."""
    if not outcomes:
        return 0
    by_batch: dict[UUID, list[Outcome]] = {}
    for one in outcomes:
        by_batch.setdefault(one.line.batch, []).append(one)
    # Sealed before anything is locked.
    sealed = {one.line.id: seal_result(one.line.id, one.body) for one in outcomes if isinstance(one, Ended)}
    written = 0
    with short_transaction():
        batches = {batch.pk: batch for batch in _locked(list(by_batch))}
        for pk, ours in by_batch.items():
            if (batch := batches.get(pk)) is None:
                continue
            rows = BatchLine.objects.filter(pk__in=[one.line.id for one in ours], state="running").values_list("pk", "request_id")
            held = set(rows)
            kept = [one for one in ours if (one.line.id, one.line.request_id) in held]
            written += len(kept)
            _end(batch, [one for one in kept if isinstance(one, Ended)], sealed, now)
            _return(batch, [one for one in kept if isinstance(one, Returned)], now)
            close(batch, now)
    return written


def seal_result(line_id: int, body: bytes) -> bytes:
    return vault.seal_bytes(body, place=f"batchresult:{line_id}")


def _end(batch: Batch, ended: Sequence[Ended], sealed: Mapping[int, bytes], now: datetime) -> None:
    if not ended:
        return
    at = _moment(now)
    state = {True: "completed", False: "failed"}
    _many(
        _END,
        [
            (state[one.completed], one.status, one.error_code[:40], one.result_bytes, at, one.line.id, _id(one.line.request_id))
            for one in ended
        ],
    )
    _many(_RESULT, [(one.line.id, sealed[one.line.id]) for one in ended])
    completed = sum(one.completed for one in ended)
    batch.running -= len(ended)
    batch.completed += completed
    batch.failed += len(ended) - completed
    batch.input_tokens += sum(one.input_tokens for one in ended)
    batch.output_tokens += sum(one.output_tokens for one in ended)
    if any(one.exhausted for one in ended):
        _fail_rest(batch, next(one.error_code for one in ended if one.exhausted), now)
    _save(batch, "input_tokens", "output_tokens")


def _fail_rest(batch: Batch, code: str, now: datetime) -> None:
    """The caller wants no wait for a budget: what is queued fails with the code of the line that was refused."""
    ids = list(BatchLine.objects.filter(batch=batch, state="queued").order_by("number").values_list("pk", flat=True)[:STEP])
    BatchLine.objects.filter(pk__in=ids).update(state="failed", status=429, error_code=code[:40], ended_at=now)
    batch.queued -= len(ids)
    batch.failed += len(ids)


def _return(batch: Batch, returned: Sequence[Returned], now: datetime) -> None:
    if not returned:
        return
    for one in returned:
        wait = now + timedelta(seconds=one.wait_s)
        requeue(one.line.id, one.line.request_id, sent=one.sent, not_before=wait, now=now, batch=batch, lane=one.lane)
    pause = next((one.pause for one in returned if one.pause), "")
    if pause and batch.state == "in_progress":
        batch.pause_reason, batch.look_again_at = pause[:300], now + LOOK_AGAIN
    _save(batch, "pause_reason", "look_again_at")


def requeue(
    line: int, request_id: UUID | None, *, sent: bool, not_before: datetime | None, now: datetime, batch: Batch, lane: str = ""
) -> None:
    """One running line goes back to the queue of ``batch``, which is locked and saved by the caller; to the end where it may have been
    executed as often as it may be, or where its batch is being cancelled. ``lane``: the one that it is in from now on."""
    row = BatchLine.objects.filter(pk=line, request_id=request_id, state="running")
    batch.running -= 1
    if sent and row.filter(executions__gte=MOST_EXECUTIONS).exists():
        row.update(state="failed", status=500, error_code=INTERRUPTED, lease_until=None, runner="", ended_at=now)
        batch.failed += 1
        return
    changes: dict[str, Any] = {"lease_until": None, "runner": "", "not_before": not_before, "shard": None}
    if lane:
        changes["lane"] = lane
    if sent:
        changes["earlier_id"] = request_id
    else:
        changes |= {"executions": F("executions") - 1, "request_id": None}
    if batch.state == "cancelling":
        row.update(state="cancelled", ended_at=now, **changes)
        batch.cancelled += 1
        return
    row.update(state="queued", **changes)
    batch.queued += 1


def renew(runner: str, now: datetime, lease: timedelta) -> int:
    return BatchLine.objects.filter(state="running", runner=runner).update(lease_until=now + lease)


def reap(now: datetime) -> int:
    """Lines of runners that died. What became of a line is told by its request's row, which is committed before a byte is sent: without
    one, nothing was sent; an open one is waited for, because the journal's reaper ends it and charges its hold."""
    stale = BatchLine.objects.filter(state="running", lease_until__lt=now).order_by("batch_id", "number")
    ids = list(stale.values_list("batch_id", flat=True)[:STEP])
    reaped = 0
    for pk in sorted(set(ids)):
        with short_transaction():
            for batch in _locked([pk]):
                rows = list(stale.filter(batch=batch).values_list("pk", "request_id")[:STEP])
                states = dict(RequestLog.objects.filter(pk__in=[request for _, request in rows]).values_list("pk", "state"))
                for line, request in rows:
                    state = states.get(request, "") if request is not None else ""
                    if state != "open":
                        requeue(line, request, sent=state not in ("", "rejected"), not_before=None, now=now, batch=batch)
                        reaped += 1
                _save(batch)
                close(batch, now)
    return reaped


def _locked(ids: Sequence[UUID]) -> list[Batch]:
    return list(Batch.objects.select_for_update().filter(pk__in=ids).order_by("pk"))


COUNTS = ("queued", "running", "completed", "failed", "expired", "cancelled")


def _save(batch: Batch, *more: str) -> None:
    batch.save(update_fields=[*COUNTS, *more])


def _many(sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(sql, rows)


def _id(value: UUID) -> Any:
    return _uuid.get_db_prep_value(value, connection)


def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)
