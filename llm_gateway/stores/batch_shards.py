"""Shards: lines of one model that go through a provider's batch API together. Blocking.

Whoever takes the next step of a shard holds its lease; what it notes is written only while it does. Lines are claimed under their batch's
lock as all others are, and belong to no runner: only their shard ends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import F, Q

from llm_gateway.core.catalog import Target
from llm_gateway.engine.batch_lines import Line
from llm_gateway.engine.fresh import new_id
from llm_gateway.models import Batch, BatchLine, BatchShard, RequestLog
from llm_gateway.models.batch_shards import OPEN
from llm_gateway.policies.batches import GATEWAY, PROVIDER

from .batch_queue import line_of
from .connecting import short_transaction
from .files import FileGone, Reader

# Shards of one batch, and of all, that are under way at once: so much is held at most.
OF_BATCH, OF_ALL = 8, 40
# For whoever looks for lines of runners that died: these have none.
_FAR = timedelta(days=3)
# How long an open row of a shard may go unrenewed; a reading of the books tolerates two hours.
ROW_LEASE = timedelta(hours=1)
_RENEWED = timedelta(seconds=45)
_STEP = 500


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A shard whose next step is ours. Moments; ``named_model``: what the lines ask for; ``ending``: its batch wants no more of it, and
    why."""

    id: UUID
    batch: UUID
    runner: str
    state: str
    provider: int | None
    credential: int | None
    model: int | None
    upstream_id: str
    upload: str
    remote: str
    total: int
    tries: int
    gone: int
    adopted: bool
    cancel_sent: bool
    created_at: datetime
    sent_at: datetime | None
    ends_at: datetime
    ending: str
    note: str = ""

    @property
    def name(self) -> str:
        return f"cogo-{self.id.hex}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A request's row as far as its end needs it."""

    hold_nusd: int
    at: float
    state: str


def waiting(now: datetime) -> list[tuple[UUID, str]]:
    """(batch, the public id of its key) of those with lines for a new shard, the oldest first."""
    if BatchShard.objects.exclude(state="ended").count() >= OF_ALL:
        return []
    found = Batch.objects.filter(lane=PROVIDER, state="in_progress", pause_reason="", queued__gt=0, ends_at__gt=now).order_by("created_at")
    busy = {pk for pk in found.values_list("pk", flat=True) if _open_of(pk) >= OF_BATCH}
    return [(pk, public) for pk, public in found.values_list("pk", "client_key__public_id") if pk not in busy]


def _open_of(batch: UUID) -> int:
    return BatchShard.objects.filter(batch=batch).exclude(state="ended").count()


def _ready(batch: UUID, now: datetime) -> Any:
    return BatchLine.objects.filter(Q(not_before=None) | Q(not_before__lte=now), batch=batch, state="queued", lane="").order_by("number")


def next_model(batch: UUID, now: datetime) -> tuple[str, str] | None:
    """(the model, the batch's own) that the next shard is of."""
    line = _ready(batch, now).select_related("batch").first()
    return None if line is None else (line.model or line.batch.model, line.model)


def claim_new(
    batch: UUID, model: str, target: Target, limits: tuple[int, int], runner: str, now: datetime, lease: timedelta
) -> Held | None:
    """A new shard of lines that name ``model``. ``limits``: at most so many lines, and bytes of their texts."""
    with short_transaction():
        owner = Batch.objects.select_for_update().get(pk=batch)
        if owner.state != "in_progress" or owner.pause_reason or owner.input_id is None or _open_of(batch) >= OF_BATCH:
            return None
        chosen: list[BatchLine] = []
        size = 0
        for line in _ready(batch, now).filter(model=model)[: limits[0]]:
            size += line.length
            if chosen and size > limits[1]:
                break
            chosen.append(line)
        if not chosen:
            return None
        shard = BatchShard.objects.create(
            id=new_id(),
            batch=owner,
            provider_id=target.provider.id,
            credential_id=target.credential.id or None,
            model_id=target.model.id,
            upstream_id=target.upstream_id[:200],
            total=len(chosen),
            created_at=now,
            next_at=now,
            runner=runner,
            lease_until=now + lease,
        )
        for line in chosen:
            line.state, line.request_id, line.shard, line.runner = "running", new_id(), shard, ""
            line.executions, line.not_before, line.lease_until = line.executions + 1, None, now + _FAR
        fields = ["state", "request_id", "shard", "runner", "executions", "not_before", "lease_until"]
        BatchLine.objects.bulk_update(chosen, fields, batch_size=100)
        Batch.objects.filter(pk=batch).update(queued=F("queued") - len(chosen), running=F("running") + len(chosen))
        return _held(shard, owner, now)


def claim_due(runner: str, now: datetime, lease: timedelta) -> Held | None:
    """A shard whose next step is due and is nobody's."""
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    for one in BatchShard.objects.filter(free, state__in=OPEN, next_at__lte=now).select_related("batch").order_by("next_at")[:20]:
        mine = BatchShard.objects.filter(pk=one.pk, state=one.state, runner=one.runner, lease_until=one.lease_until)
        if mine.update(runner=runner, lease_until=now + lease):
            one.runner = runner
            return _held(one, one.batch, now)
    return None


def _held(row: BatchShard, batch: Batch, now: datetime) -> Held:
    ending = "cancelled" if batch.state == "cancelling" else "expired" if batch.ends_at <= now else ""
    return Held(
        id=row.pk, batch=row.batch_id, runner=row.runner, state=row.state, provider=row.provider_id, credential=row.credential_id,
        model=row.model_id, upstream_id=row.upstream_id, upload=row.upload_id, remote=row.remote_id, total=row.total, tries=row.tries,
        gone=row.gone, adopted=row.adopted, cancel_sent=row.cancel_sent, created_at=row.created_at, sent_at=row.sent_at,
        ends_at=batch.ends_at, ending=ending, note=row.note,
    )  # fmt: skip


def note(shard: Held, now: datetime, **changes: Any) -> Held | None:
    """Written and given back changed; ``None``: the lease is another's by now, who goes on from what was written before."""
    if not BatchShard.objects.filter(pk=shard.id, runner=shard.runner, state=shard.state).update(**changes):
        return None
    row = BatchShard.objects.select_related("batch").get(pk=shard.id)
    return _held(row, row.batch, now)


def leave(shard: Held, at: datetime, **changes: Any) -> None:
    """The next step is due ``at``; anybody may take it."""
    BatchShard.objects.filter(pk=shard.id, runner=shard.runner, state=shard.state).update(
        runner="", lease_until=None, next_at=at, **changes
    )


def end(shard: Held, now: datetime, words: str = "") -> None:
    row = BatchShard.objects.filter(pk=shard.id, runner=shard.runner).exclude(state="ended").first()
    if row is None:
        return
    done = BatchLine.objects.filter(shard=row)
    row.state, row.ended_at, row.runner, row.lease_until = "ended", now, "", None
    row.answered, row.failed = done.filter(state="completed").count(), done.filter(state="failed").count()
    row.returned = max(0, row.total - row.answered - row.failed - row.feared)
    row.note = (words or row.note)[:300]
    row.save(update_fields=["state", "ended_at", "runner", "lease_until", "answered", "failed", "returned", "note"])


def lines_of(shard: Held, reader: Reader | None = None) -> list[Line]:
    """Those that have not ended, with their texts."""
    rows = BatchLine.objects.filter(shard=shard.id, state="running").select_related("batch__client_key").order_by("number")
    reader = reader or Reader()
    found = []
    for row in rows:
        if row.batch.input_id is None or row.request_id is None:
            continue
        line = msgspec.structs.replace(line_of(row.batch, row, row.request_id), economy=False)
        with suppress(FileGone):
            line = msgspec.structs.replace(line, text=reader.read(line.file, line.offset, line.length))
        found.append(line)
    return found


def rows_of(lines: Sequence[Line]) -> dict[UUID, Row]:
    """By request, the rows that there are."""
    found: dict[UUID, Row] = {}
    for start in range(0, len(lines), _STEP):
        ids = [line.request_id for line in lines[start : start + _STEP]]
        for pk, hold, at, state in RequestLog.objects.filter(pk__in=ids).values_list("pk", "hold_nusd", "created_at", "state"):
            found[pk] = Row(hold_nusd=hold, at=at.timestamp(), state=state)
    return found


def known_remotes(shard: Held) -> set[str]:
    """What other shards of the same provider are, so that none is taken for another."""
    others = BatchShard.objects.filter(provider=shard.provider).exclude(pk=shard.id).exclude(remote_id="")
    return set(others.values_list("remote_id", flat=True))


def renew(runner: str, now: datetime, lease: timedelta) -> int:
    """The leases of this runner's shards, and of the rows of every shard: those wait for a provider and not for a process."""
    BatchShard.objects.filter(runner=runner, state__in=OPEN).update(lease_until=now + lease)
    renewed = 0
    for pk in BatchShard.objects.filter(state__in=OPEN, sent_at__isnull=False).values_list("pk", flat=True):
        renewed += renew_rows(pk, runner, now)
    return renewed


def renew_rows(shard: UUID, worker: str, now: datetime) -> int:
    ids = BatchLine.objects.filter(shard=shard, state="running").values("request_id")
    until = now + ROW_LEASE
    return RequestLog.objects.filter(pk__in=ids, state="open", lease_until__lt=until - _RENEWED).update(lease_until=until, worker=worker)


def count_feared(shard: Held, lines: int) -> None:
    BatchShard.objects.filter(pk=shard.id).update(feared=F("feared") + lines)


def let_fall(batch: UUID, model: str, why: str, now: datetime) -> int:
    """Queued lines for ``model`` that fit no batch API any more; how many."""
    with short_transaction():
        owner = Batch.objects.select_for_update().get(pk=batch)
        fallen = _ready(batch, now).filter(model=model).values("pk")
        count = BatchLine.objects.filter(pk__in=list(fallen.values_list("pk", flat=True))).update(lane=GATEWAY)
        if count and not owner.lane_note:
            Batch.objects.filter(pk=batch).update(lane_note=why[:300])
        return count
