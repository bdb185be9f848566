"""Which period a budget is in now: the journal's own rule."""

from __future__ import annotations

from zoneinfo import ZoneInfoNotFoundError

from django.utils import timezone

from llm_gateway.models import Budget
from llm_gateway.policies.periods import period_id


def spent_and_held(row: Budget) -> tuple[int, int]:
    """Nano-USD posted and held in the present period: the journal rolls a budget over with its next request, a page cannot wait."""
    try:
        now = period_id(row.period, row.timezone, timezone.now(), row.reset)
    except (ZoneInfoNotFoundError, ValueError):
        now = row.period_id
    return (row.posted_nusd, row.held_nusd) if row.period_id == now else (0, 0)
