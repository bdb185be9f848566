"""Open rows whose process died: found by their lease, closed as ``orphaned``.

Nobody saw what came back, so the whole hold is charged: the provider may have billed it. Should the process turn out to live and settle
after all, the difference is adjusted (stores.late).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F, Value
from django.db.models.functions import Greatest

from llm_gateway.core.outcomes import RequestState
from llm_gateway.models import LedgerEntry, RequestLog

from .connecting import short_transaction
from .holds import BudgetBook

CHUNK = 200
# A process that was only held up renews its leases first.
GRACE = timedelta(seconds=2)


def reap(now: datetime) -> int:
    """Close every open row whose lease is over; returns how many. Safe in any number of processes: each row is claimed by its state."""
    total = 0
    while closed := _chunk(now):
        total += closed
    return total


def _chunk(now: datetime) -> int:
    stale = RequestLog.objects.filter(state=RequestState.OPEN, lease_until__lt=now - GRACE)
    # Looked at without the writer's lock: nearly always there is none.
    if not stale.exists():
        return 0
    with short_transaction():
        ids = list(stale.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True)[:CHUNK])
        entries = list(LedgerEntry.objects.select_for_update().filter(request_id__in=ids, state="held").order_by("pk"))
        book = BudgetBook({entry.budget_id for entry in entries if entry.budget_id}, now)
        for entry in entries:
            entry.state = "posted" if entry.held_nusd else "voided"
            entry.resolved_at = now
            entry.note = "orphaned: charged as held"
            if entry.budget_id:
                book.resolve(entry.budget_id, entry.period_id, entry.held_nusd, entry.held_nusd)
        LedgerEntry.objects.bulk_update(entries, ["state", "resolved_at", "note"])
        closed = RequestLog.objects.filter(pk__in=ids, state=RequestState.OPEN).update(
            state=RequestState.ORPHANED,
            finished_at=Greatest(F("created_at"), Value(now)),
            lease_until=None,
            cost_nusd=F("hold_nusd"),
            usage_source="estimated",
            error_code="orphaned",
        )
        book.save()
    return closed
