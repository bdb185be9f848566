"""What decisions were made from is kept for the window that can be replayed, and no longer."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from llm_gateway.models import DecisionContext, LearnedDay
from llm_gateway.stores.contexts import WINDOW

CHUNK = 500
# What is in use is named again every six hours.
GRACE = timedelta(days=1)
# What learning saved, by day: sums, kept for a year and the one before to compare it with.
MEASURED = timedelta(days=800)


def purge_decisions(now: datetime | None = None) -> int:
    """Delete contexts that no decision of the window can name. Returns how many."""
    now = now or timezone.now()
    LearnedDay.objects.filter(day__lt=(now - MEASURED).date()).delete()
    edge = now - WINDOW - GRACE
    total = 0
    while keys := list(DecisionContext.objects.filter(at__lt=edge).values_list("key", flat=True)[:CHUNK]):
        total += DecisionContext.objects.filter(key__in=keys, at__lt=edge).delete()[0]
    return total
