"""What decisions were made from is kept for the window that can be replayed, and no longer."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from llm_gateway.models import DecisionContext
from llm_gateway.stores.contexts import WINDOW

CHUNK = 500
# What is in use is named again every six hours.
GRACE = timedelta(days=1)


def purge_decisions(now: datetime | None = None) -> int:
    """Delete contexts that no decision of the window can name. Returns how many."""
    edge = (now or timezone.now()) - WINDOW - GRACE
    total = 0
    while keys := list(DecisionContext.objects.filter(at__lt=edge).values_list("key", flat=True)[:CHUNK]):
        total += DecisionContext.objects.filter(key__in=keys, at__lt=edge).delete()[0]
    return total
