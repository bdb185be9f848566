"""Open rows whose process died: found by their lease, closed as ``orphaned``.

Nobody saw what came back, so the whole hold is charged: the provider may have billed it.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from llm_gateway.models import LedgerEntry, RequestLog

from .holds import BudgetBook

CHUNK = 200


def reap(now: datetime) -> int:
    """Close every open row whose lease is over; returns how many. Safe in any number of processes: each row is claimed by its state."""
    total = 0
    while True:
        with transaction.atomic():
            stale = list(
                RequestLog.objects.select_for_update()
                .filter(state="open", lease_until__lt=now)
                .order_by("lease_until")
                .values_list("pk", flat=True)[:CHUNK]
            )
            if not stale:
                return total
            entries = list(LedgerEntry.objects.select_for_update().filter(request_id__in=stale, state="held").order_by("pk"))
            book = BudgetBook({entry.budget_id for entry in entries if entry.budget_id}, now)
            for entry in entries:
                entry.state = "posted" if entry.held_nusd else "voided"
                entry.resolved_at = now
                entry.note = "orphaned: charged as held"
                if entry.budget_id:
                    book.resolve(entry.budget_id, entry.period_id, entry.held_nusd, entry.held_nusd)
            LedgerEntry.objects.bulk_update(entries, ["state", "resolved_at", "note"])
            total += RequestLog.objects.filter(pk__in=stale, state="open").update(
                state="orphaned", finished_at=now, lease_until=None, cost_nusd=F("hold_nusd"), usage_source="estimated", error_code="orphaned"
            )
            book.save()
