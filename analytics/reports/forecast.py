"""What this month will have cost, and which budgets will not last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any

import msgspec

from analytics import queries
from analytics.queries import Filters
from analytics.statistics import Projection, project
from llm_gateway.core.money import NUSD
from llm_gateway.models import Budget, Team
from llm_gateway.policies.periods import period_bounds, period_id, zone_of

from . import reports
from ._base import Asked, Card, Chart, Column, Series, Sheet
from ._money import money

# Whole days the daily mean is taken from.
RECENT_DAYS = 14
METHOD = f"spent so far, and the mean of the last {RECENT_DAYS} whole UTC days for every day that is left"
DAY = timedelta(days=1)
PERIODS = ("month", "week", "day")


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """A period under way, in nano-USD; ``whole`` is ``None`` below three whole days of requests."""

    period: str
    timezone: str
    start: datetime
    end: datetime
    spent: int
    per_day: tuple[float, ...]
    whole: Projection | None


class BudgetOutlook(msgspec.Struct, frozen=True, kw_only=True):
    """``expected`` as above; ``runs_out``: when the limit is reached at the present pace, ``None`` within the period or unknown."""

    budget: Budget
    period_id: str
    spent: int
    expected: int | None
    runs_out: datetime | None
    used_up: bool


class Forecast:
    name = "forecast"
    title = "Forecast"
    icon = "query_stats"
    position = 40
    summary = f"The period so far and where it ends: {METHOD}. It follows the chosen team's timezone, else UTC."
    dated = False
    groups = ()
    default_groups = ()
    option_title = "Period"

    def options(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, f"this {name}") for name in PERIODS)

    def build(self, asked: Asked) -> Sheet:
        found = outlook(asked.now, asked.filters, asked.option or "month")
        local = zone_of(found.timezone)
        days = f"{found.start.astimezone(local):%Y-%m-%d} to {(found.end - DAY / 2).astimezone(local):%Y-%m-%d}, {found.timezone}"
        whole = found.whole
        return Sheet(
            columns=_COLUMNS,
            rows=tuple(_row(one) for one in budgets(asked.now)),
            cards=(
                Card(f"This {found.period} so far", money(found.spent), days),
                Card(
                    f"By the end of the {found.period}", "too little data" if whole is None else money(round(whole.expected)), _range(whole)
                ),
            ),
            chart=_chart(asked, found) if found.period != "day" else None,
            empty=("No budgets with a period", "A budget by day, week or month is listed here with the moment it will be used up."),
            notes=("The range holds the outcome in about 8 of 10 periods that go on as the last two weeks did.",),
        )


_COLUMNS = (
    Column("budget", "Budget"),
    Column("period", "Period"),
    Column("timezone", "Timezone"),
    Column("limit_usd", "Limit (USD)", "usd", digits=2),
    Column("spent_usd", "Spent (USD)", "usd", digits=2),
    Column("expected_usd", "Expected (USD)", "usd", digits=2),
    Column("expected_share", "Expected use", "share", absent=""),
    Column("lasts", "Lasts"),
)


def outlook(now: datetime, filters: Filters, period: str = "month") -> Outlook:
    """In the timezone of the team that is asked for, else UTC."""
    zone = Team.objects.filter(pk=filters.team_id or 0).values_list("timezone", flat=True).first() or "UTC"
    start, end = period_bounds(period, zone, now)
    assert start is not None
    assert end is not None
    spent = queries.totals(start, now, filters).total_nusd or 0
    per_day = _recent(now, filters)
    whole = project(spent, per_day, (end - now) / DAY)
    return Outlook(period=period, timezone=zone, start=start, end=end, spent=spent, per_day=tuple(per_day), whole=whole)


def budgets(now: datetime, team_id: int | None = None) -> list[BudgetOutlook]:
    """Budgets with a period, by name. ``team_id``: only those of this team and of its keys."""
    rows = Budget.objects.filter(enabled=True).exclude(period="total").select_related("team", "client_key", "provider", "model")
    return [_budget(row, now) for row in rows.order_by("name", "pk") if team_id is None or team_id in _owners(row)]


def _owners(row: Budget) -> set[int | None]:
    return {row.team_id, row.client_key.team_id if row.client_key else None}


def _recent(now: datetime, filters: Filters) -> list[float]:
    """Cost of each of the last whole days, from the first one that had any request."""
    midnight = queries.today(now)
    start = midnight - timedelta(days=RECENT_DAYS)
    cells = queries.spend(("day",), start, midnight, filters)
    days = [(start + timedelta(days=i)).date() for i in range(RECENT_DAYS)]
    seen = [i for i, day in enumerate(days) if (day,) in cells]
    return [float(cells[(day,)].total_nusd or 0) if (day,) in cells else 0.0 for day in days[seen[0] :]] if seen else []


def _budget(row: Budget, now: datetime) -> BudgetOutlook:
    owner = Filters(
        team_id=row.team_id,
        client_key_id=row.client_key_id,
        provider=row.provider.slug if row.provider else None,
        model=row.model.name if row.model else None,
    )
    per_day = _recent(now, owner)
    mean = fmean(per_day) if per_day else 0.0
    current = period_id(row.period, row.timezone, now, row.reset)
    _, end = period_bounds(row.period, row.timezone, now, row.reset)
    assert end is not None
    # The journal rolls a budget over with its next request; until then its figures are those of the period before.
    posted, held = (row.posted_nusd, row.held_nusd) if row.period_id == current else (0, 0)
    whole = project(posted, per_day, (end - now) / DAY)
    left = row.limit_at(now) - posted - held
    runs_out = now + timedelta(days=min(left / mean, 400)) if left > 0 and mean > 0 else None
    return BudgetOutlook(
        budget=row,
        period_id=current,
        spent=posted,
        expected=None if whole is None else round(whole.expected),
        runs_out=runs_out if runs_out is not None and runs_out < end else None,
        used_up=left <= 0,
    )


def _row(one: BudgetOutlook) -> tuple[Any, ...]:
    row = one.budget
    share = one.expected / row.limit_nusd if one.expected is not None and row.limit_nusd else None
    if one.used_up:
        lasts = "used up"
    elif one.runs_out is None:
        lasts = f"to the end of the {row.period}"
    else:
        lasts = f"until about {one.runs_out.astimezone(zone_of(row.timezone)):%b %d}"
    return (row.name, one.period_id, row.timezone, row.limit_nusd, one.spent, one.expected, share, lasts)


def _chart(asked: Asked, found: Outlook) -> Chart:
    """UTC days, so that the first and the last may be cut."""
    cells = queries.spend(("day",), found.start, asked.now, asked.filters)
    first, last = found.start.date(), (found.end - timedelta(microseconds=1)).date()
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    mean = fmean(found.per_day) / NUSD if len(found.per_day) >= 3 else None
    running = 0.0
    so_far: list[float | None] = []
    ahead: list[float | None] = []
    for day in days:
        if day <= asked.now.date():
            running += (cells[(day,)].total_nusd or 0) / NUSD if (day,) in cells else 0.0
            so_far.append(running)
            ahead.append(running if day == asked.now.date() else None)
        else:
            so_far.append(None)
            running += mean or 0.0
            ahead.append(running if mean is not None else None)
    labels = tuple(f"{day:%b} {day.day}" for day in days)
    series: Sequence[Series] = (Series("spent", tuple(so_far)), Series("expected", tuple(ahead)))
    return Chart(title=f"This {found.period}, summed up", labels=labels, series=tuple(series), unit="USD", stacked=False, line=True)


def _range(whole: Projection | None) -> str:
    return "needs three whole days" if whole is None else f"between {money(round(whole.low))} and {money(round(whole.high))}"


reports.add(Forecast.name, Forecast())
