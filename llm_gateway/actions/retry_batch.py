"""Queue the failed and expired lines of a batch that has ended once more."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from llm_gateway.core.errors import Conflict
from llm_gateway.models import Batch, BatchLine, BatchResult, StoredFile
from llm_gateway.policies.batches import WINDOW
from llm_gateway.stores.connecting import short_transaction

_AGAIN = ("failed", "expired")


class NothingToRetry(Conflict):
    retryable = False


def retry_batch(pk: UUID, now: datetime) -> int:
    """How many lines. Their new executions are new requests with costs of their own; what the old ones cost stays in the batch's sum."""
    with short_transaction():
        batch = Batch.objects.select_for_update().get(pk=pk)
        if batch.ended_at is None:
            raise NothingToRetry("The batch has not ended; retry its failed requests when it has.")
        if batch.input_id is None or StoredFile.objects.filter(pk=batch.input_id, chunks__isnull=False).first() is None:
            raise NothingToRetry("The batch's input file was deleted; create a new batch.")
        count = batch.failed + batch.expired
        if batch.state == "failed" or not count:
            raise NothingToRetry("No request of this batch has failed.")
        lines = BatchLine.objects.filter(batch=batch, state__in=_AGAIN)
        BatchResult.objects.filter(line__in=lines).delete()
        lines.update(
            state="queued", executions=0, request_id=None, earlier_id=None, not_before=None, status=None, error_code="", result_bytes=None,
            ended_at=None,
        )  # fmt: skip
        StoredFile.objects.filter(batch=batch).delete()
        batch.queued, batch.failed, batch.expired = count, 0, 0
        batch.state, batch.ended_at, batch.cost_nusd = "in_progress", None, None
        batch.ends_at = now + WINDOW
        batch.save()
        return count
