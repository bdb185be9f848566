"""A team's monthly statement: drawn up at any time, closed once the month is over, unchangeable from then on.

A month is a calendar month of the team's own timezone. Its costs are those of the requests that arrived in it; adjustments count in the
month in which they were booked, so that a closed month stays as it is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from llm_gateway.core.outcomes import UNSERVED, RequestState
from llm_gateway.models import LedgerEntry, RequestLog, Statement, Team
from llm_gateway.policies.periods import period_bounds, zone_of

from . import ActionError

_MONTH = re.compile(r"(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])")
_SUMS: dict[str, Any] = {
    "n": Count("pk"),
    "unknown": Count("pk", filter=Q(cost_nusd=None)),
    "cost": Sum("cost_nusd"),
    "estimated": Sum("cost_nusd", filter=Q(usage_source="estimated")),
    "input": Sum("input_tokens"),
    "output": Sum("output_tokens"),
    "cache_read": Sum("cache_read_tokens"),
    "cache_write": Sum("cache_write_tokens"),
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What one client key spent on one model. Money in nano-USD."""

    client_key: str
    provider: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_nusd: int


def draw_up(team: Team, month: str) -> Statement:
    """The statement as it would be closed now; not saved."""
    if not _MONTH.fullmatch(month):
        raise ActionError(f"{month!r} is no month; write it like 2026-11")
    zone = zone_of(team.timezone)
    start, end = period_bounds("month", team.timezone, datetime(int(month[:4]), int(month[5:]), 15, tzinfo=zone).astimezone(UTC))
    assert start is not None
    assert end is not None
    rows = _rows(team, start, end)
    lines = _lines(rows)
    sums = rows.aggregate(**_SUMS)
    adjusted = LedgerEntry.objects.filter(
        LedgerEntry.OWN_COST, state="posted", created_at__gte=start, created_at__lt=end, request__team=team
    ).aggregate(total=Sum("amount_nusd"))["total"]
    cost = sums["cost"] or 0
    return Statement(
        team=team,
        month=month,
        timezone=team.timezone,
        start=start,
        end=end,
        requests=sums["n"],
        unknown_cost_requests=sums["unknown"],
        estimated_nusd=sums["estimated"] or 0,
        cost_nusd=cost,
        adjustments_nusd=adjusted or 0,
        total_nusd=cost + (adjusted or 0),
        lines=[msgspec.to_builtins(line) for line in lines],
        closed_at=timezone.now(),
    )


def close_month(team: Team, month: str, *, by: Any = None, now: datetime | None = None) -> Statement:
    """Close it. Raises :class:`ActionError` while the month runs, while a request of it is open, or when it is closed already."""
    now = now or timezone.now()
    statement = draw_up(team, month)
    if now < statement.end:
        raise ActionError(
            f"{month} is not over for {team.name} (timezone {team.timezone}); close it after {statement.end:%Y-%m-%d %H:%M} UTC"
        )
    waiting = RequestLog.objects.filter(team=team, state=RequestState.OPEN, created_at__lt=statement.end).count()
    if waiting:
        raise ActionError(f"{waiting} requests of {month} are still open; close it when they have ended")
    statement.closed_at, statement.closed_by = now, by
    try:
        with transaction.atomic():
            statement.save()
    except IntegrityError:
        raise ActionError(f"{month} is closed for {team.name} already") from None
    return statement


def _rows(team: Team, start: datetime, end: datetime) -> QuerySet[RequestLog]:
    return RequestLog.objects.filter(team=team, created_at__gte=start, created_at__lt=end, simulated=False).exclude(state__in=UNSERVED)


def _lines(rows: QuerySet[RequestLog]) -> list[Line]:
    grouped: Any = rows.order_by().values("client_key__name", "provider_slug", "model__name", "served_model").annotate(**_SUMS)
    found = [
        Line(
            client_key=row["client_key__name"] or "staff",
            provider=row["provider_slug"],
            model=row["model__name"] or row["served_model"],
            requests=row["n"],
            input_tokens=row["input"] or 0,
            output_tokens=row["output"] or 0,
            cache_read_tokens=row["cache_read"] or 0,
            cache_write_tokens=row["cache_write"] or 0,
            cost_nusd=row["cost"] or 0,
        )
        for row in grouped
    ]
    return sorted(found, key=lambda line: (line.client_key, line.provider, line.model))
