"""Which period a budget is in now: the journal's own rule, asked late."""

from __future__ import annotations

from django.utils import timezone

from llm_gateway.models import Budget


def current_period(row: Budget) -> str:
    """The id the journal writes into ``period_id`` now; the row's own when the rule cannot be asked."""
    try:
        from llm_gateway.stores.ledger import period_id
    except ImportError:
        return row.period_id
    return period_id(row.period, row.timezone, timezone.now())
