"""Results in the order of the lines, a page at a time: nothing here grows with a batch. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from llm_gateway.models import Batch, BatchLine, BatchResult, RequestLog, StoredFile
from llm_gateway.wires._batch import Result

from . import vault
from .batch_formats import rendered, result_of
from .files import blank

# A page is as many lines as this, or fewer where they are long.
PAGE, PAGE_BYTES = 500, 4 << 20
STATES = {
    "outputs": ("completed",),
    "errors": ("failed", "expired"),
    "all": ("completed", "failed", "expired"),
    "": ("completed", "failed", "expired", "cancelled"),
}


def place_of(result: BatchResult) -> str:
    return f"batchresult:{result.line_id}"


def page(batch: Batch, after: int, states: Sequence[str], limit: int = PAGE) -> list[Result]:
    """Results of the lines behind number ``after``; empty at the end of what there is."""
    return [result_of(batch, line, body) for line, body in _opened(batch, after, states, limit)]


def _opened(batch: Batch, after: int, states: Sequence[str], limit: int) -> Iterator[tuple[BatchLine, bytes | None]]:
    found = BatchLine.objects.filter(batch=batch, number__gt=after, state__in=states).order_by("number")
    size = 0
    lines = []
    for line in found[:limit]:
        lines.append(line)
        size += line.result_bytes or 0
        if size > PAGE_BYTES:
            break
    bodies = {one.line_id: one for one in BatchResult.objects.filter(line__in=[line.pk for line in lines])}
    for line in lines:
        result = bodies.get(line.pk)
        yield line, None if result is None else vault.open_bytes(bytes(result.body), place=place_of(result))


def piece(batch: Batch, after: int, part: str) -> tuple[int, bytes]:
    """(number of the last line, the lines as the dialect's file has them); empty bytes at the end."""
    parts = []
    for line, body in _opened(batch, after, STATES[part], PAGE):
        after = line.number
        parts.append(rendered(batch, line, body))
    return after, b"".join(parts)


def forget(file: StoredFile) -> None:
    """The results behind a file that its owner deletes."""
    while ids := list(
        BatchResult.objects.filter(line__batch=file.batch_id, line__state__in=STATES[file.part]).values_list("pk", flat=True)[:PAGE]
    ):
        BatchResult.objects.filter(pk__in=ids).delete()
    file.delete()


def erase(requests: Sequence[UUID]) -> None:
    """The texts of the lines that these requests executed: their results, and what they say in their file."""
    batches = RequestLog.objects.filter(pk__in=requests, batch_id__isnull=False).values_list("batch_id", flat=True).distinct()
    mine = Q(request_id__in=requests) | Q(earlier_id__in=requests)
    for line in BatchLine.objects.filter(mine, batch__in=list(batches)).select_related("batch"):
        BatchResult.objects.filter(pk=line.pk).delete()
        if line.batch.input_id is not None:
            blank(line.batch.input_id, line.offset, line.length)


def delete_batch(batch: Batch) -> None:
    """One that has ended, with its lines and results; requests that came in a body go with it."""
    _delete(batch.pk)
    if batch.input_id is not None:
        StoredFile.objects.filter(pk=batch.input_id, inline=True).delete()


def _delete(pk: UUID) -> int:
    while ids := list(BatchLine.objects.filter(batch=pk).values_list("pk", flat=True)[:PAGE]):
        BatchResult.objects.filter(pk__in=ids).delete()
        BatchLine.objects.filter(pk__in=ids).delete()
    return int(Batch.objects.filter(pk=pk).delete()[0] > 0)


def purge(now: datetime) -> dict[str, int]:
    """Batches and files whose time is over, and uploads that never ended. A batch goes with its lines and results."""
    batches = files = 0
    for pk in list(Batch.objects.filter(expires_at__lte=now).exclude(ended_at=None).values_list("pk", flat=True)):
        batches += _delete(pk)
    in_use = Batch.objects.filter(ended_at=None, input__isnull=False).values("input")
    for file in StoredFile.objects.filter(expires_at__lte=now, batch=None).exclude(pk__in=in_use):
        files += file.delete()[0] > 0
    return {"batches": batches, "files": files}
