"""What a client key spent, for its page: the reports' own figures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from django import template
from django.utils import timezone

from analytics import queries
from analytics.queries import Filters
from llm_gateway.core.money import format_usd

register = template.Library()


class Spent(NamedTuple):
    """``usd``: empty where no cost is known."""

    label: str
    requests: int
    usd: str


@register.simple_tag
def spent_by_key(client_key_id: int) -> list[Spent]:
    """Today, the last 7 and the last 30 days, by days of UTC; corrections are in them."""
    now = timezone.now()
    today = queries.today(now)
    found = []
    for label, days in (("today", 0), ("7 days", 6), ("30 days", 29)):
        cell = queries.totals(today - timedelta(days=days), now, Filters(client_key_id=client_key_id))
        known: Any = cell.total_nusd
        found.append(Spent(label, cell.requests, "" if known is None else format_usd(known)))
    return found
