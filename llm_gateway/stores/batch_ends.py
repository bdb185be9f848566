"""How batches end: by their last line, by the end of their window, or because their caller cancelled them. Blocking."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Q, Sum

from llm_gateway.engine.fresh import new_id
from llm_gateway.models import Batch, BatchLine, RequestLog, StoredFile
from llm_gateway.policies.batches import CANCELLED, EXPIRED

from .batch_formats import parts_of, rendered_bytes
from .connecting import short_transaction

STEP = 2000


def close(batch: Batch, now: datetime) -> None:
    """End ``batch``, which is locked and whose counts are saved, if nothing of it is open any more."""
    if batch.ended_at is not None or batch.state == "validating" or batch.queued or batch.running:
        return
    if batch.state == "cancelling":
        batch.state = "cancelled"
    else:
        batch.state = "expired" if batch.expired else "completed"
    batch.ended_at, batch.pause_reason, batch.look_again_at = now, "", None
    batch.cost_nusd = cost(batch)
    if batch.webhook_url:
        batch.webhook_due_at = now
    batch.save(update_fields=["state", "ended_at", "pause_reason", "look_again_at", "cost_nusd", "webhook_due_at"])
    _write_files(batch, now)
    if batch.input_id is not None:
        StoredFile.objects.filter(pk=batch.input_id, state="deleted").delete()


def cost(batch: Batch) -> int:
    """Of all its requests so far, in nano-USD."""
    if batch.cost_nusd is not None:
        return batch.cost_nusd
    return RequestLog.objects.filter(batch_id=batch.pk).aggregate(sum=Sum("cost_nusd"))["sum"] or 0


def _write_files(batch: Batch, now: datetime) -> None:
    """The files of results have no text of their own: it is read line by line when somebody asks."""
    StoredFile.objects.filter(batch=batch).delete()
    for part, states in parts_of(batch.dialect):
        lines = BatchLine.objects.filter(batch=batch, state__in=states)
        if not lines.exists():
            continue
        size = lines.aggregate(sum=Sum("result_bytes"))["sum"] or 0
        # Lines that never ran have no result: what is written for them follows from their row.
        for line in lines.filter(result_bytes=None).iterator(STEP):
            size += rendered_bytes(batch, line, None)
        StoredFile.objects.create(
            id=new_id(),
            team_id=batch.team_id,
            client_key_id=batch.client_key_id,
            name=f"batch_{batch.pk.hex}_{part}.jsonl",
            purpose="batch_output",
            media_type="application/jsonl",
            state="ready",
            bytes=size,
            batch=batch,
            part=part,
            created_at=now,
            expires_at=batch.expires_at,
        )


def cancel(batch_id: UUID, now: datetime) -> None:
    """Ask for the end: nothing more begins, what runs is finished and billed. Safe to ask again."""
    with short_transaction():
        batch = Batch.objects.select_for_update().get(pk=batch_id)
        if batch.ended_at is not None or batch.state == "cancelling":
            return
        if batch.state == "validating":
            batch.state, batch.ended_at, batch.cost_nusd = "cancelled", now, 0
        else:
            batch.state = "cancelling"
        batch.cancelling_at, batch.pause_reason, batch.look_again_at = now, "", None
        batch.save(update_fields=["state", "ended_at", "cost_nusd", "cancelling_at", "pause_reason", "look_again_at"])
        close(batch, now)
    while _end_queued(batch_id, "cancelled", CANCELLED, now):
        pass


def sweep(now: datetime) -> None:
    """Windows that are over, and cancellations whose process died half-way."""
    over = Q(state="in_progress", ends_at__lte=now) | Q(state="cancelling")
    for pk, state in Batch.objects.filter(over, ended_at=None).values_list("pk", "state"):
        word, code = ("cancelled", CANCELLED) if state == "cancelling" else ("expired", EXPIRED)
        while _end_queued(pk, word, code, now):
            pass


def _end_queued(batch_id: UUID, state: str, code: str, now: datetime) -> int:
    """Some of the queued lines, under one lock."""
    with short_transaction():
        batch = Batch.objects.select_for_update().get(pk=batch_id)
        if batch.ended_at is not None or (state == "cancelled" and batch.state != "cancelling"):
            return 0
        ids = list(BatchLine.objects.filter(batch=batch, state="queued").order_by("number").values_list("pk", flat=True)[:STEP])
        BatchLine.objects.filter(pk__in=ids).update(state=state, error_code=code, ended_at=now)
        batch.queued -= len(ids)
        setattr(batch, state, getattr(batch, state) + len(ids))
        if state == "expired":
            batch.pause_reason = ""
        batch.save(update_fields=["queued", state, "pause_reason"])
        close(batch, now)
        return len(ids)
