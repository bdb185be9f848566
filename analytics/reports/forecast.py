"""What this month will have cost, and which budgets will not last."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from analytics import queries
from analytics.queries import Filters
from analytics.statistics import Projection, project
from llm_gateway.core.money import NUSD
from llm_gateway.models import Budget

from . import reports
from ._base import Asked, Card, Chart, Column, Series, Sheet
from ._money import money

# Whole days the daily mean is taken from.
RECENT_DAYS = 14


class Forecast:
    name = "forecast"
    title = "Forecast"
    summary = f"The month so far, and where it ends if the last {RECENT_DAYS} days go on. The dates above do not matter here."
    groups = ()
    default_groups = ()
    option_title = ""

    def options(self) -> tuple[tuple[str, str], ...]:
        return ()

    def build(self, asked: Asked) -> Sheet:
        midnight = queries.today(asked.now)
        first = midnight.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
        spent = queries.totals(first, asked.now, asked.filters).cost_nusd
        whole = project_month(asked.now, asked.filters)
        rows = tuple(_row(budget, asked.now) for budget in Budget.objects.filter(enabled=True, period="month").order_by("name"))
        return Sheet(
            columns=_COLUMNS,
            rows=rows,
            cards=(
                Card("This month so far", money(spent), f"{(midnight - first).days + 1} of {(after - first).days} days"),
                Card("By the end of the month", "too little data" if whole is None else money(round(whole.expected)), _range(whole)),
            ),
            chart=_chart(asked, first, after),
            notes=("The range holds the outcome in about 8 of 10 months that go on as the last two weeks did.",),
        )


_COLUMNS = (
    Column("budget", "Monthly budget"),
    Column("limit_usd", "Limit (USD)", "usd", digits=2),
    Column("spent_usd", "Spent (USD)", "usd", digits=2),
    Column("expected_usd", "Expected (USD)", "usd", digits=2),
    Column("expected_share", "Expected use", "share", absent=""),
    Column("lasts", "Lasts"),
)


def project_month(now: datetime, filters: Filters) -> Projection | None:
    """In nano-USD."""
    spent = queries.totals(queries.today(now).replace(day=1), now, filters).cost_nusd
    return project(spent, _recent(now, filters), _days_left(now))


def _days_left(now: datetime) -> float:
    """To the end of the month, the rest of today included."""
    first = queries.today(now).replace(day=1)
    return ((first + timedelta(days=32)).replace(day=1) - now) / timedelta(days=1)


def _recent(now: datetime, filters: Filters) -> list[float]:
    """Cost of each of the last whole days, from the first one that had any request."""
    midnight = queries.today(now)
    start = midnight - timedelta(days=RECENT_DAYS)
    cells = queries.spend(("day",), start, midnight, filters)
    days = [(start + timedelta(days=i)).date() for i in range(RECENT_DAYS)]
    seen = [i for i, day in enumerate(days) if (day,) in cells]
    return [float(cells[(day,)].cost_nusd) if (day,) in cells else 0.0 for day in days[seen[0] :]] if seen else []


def _row(budget: Budget, now: datetime) -> tuple[Any, ...]:
    owner = Filters(
        team_id=budget.team_id,
        client_key_id=budget.client_key_id,
        provider=budget.provider.slug if budget.provider else None,
        model=budget.model.name if budget.model else None,
    )
    per_day = _recent(now, owner)
    mean = sum(per_day) / len(per_day) if per_day else 0.0
    # The journal rolls a budget over with its next request; until then its figures are last month's.
    posted, held = (budget.posted_nusd, budget.held_nusd) if budget.period_id == f"{now:%Y-%m}" else (0, 0)
    whole = project(posted, per_day, _days_left(now))
    expected = None if whole is None else round(whole.expected)
    left = budget.limit_nusd - posted - held
    if left <= 0:
        lasts = "used up"
    elif mean <= 0 or (expected is not None and expected <= budget.limit_nusd):
        lasts = "to the end of the month"
    else:
        lasts = f"until about {now + timedelta(days=min(left / mean, 31)):%b %d}"
    share = expected / budget.limit_nusd if expected is not None and budget.limit_nusd else None
    return (budget.name, budget.limit_nusd, posted, expected, share, lasts)


def _chart(asked: Asked, first: datetime, after: datetime) -> Chart:
    cells = queries.spend(("day",), first, asked.now, asked.filters)
    days = [(first + timedelta(days=i)).date() for i in range((after - first).days)]
    per_day = _recent(asked.now, asked.filters)
    mean = sum(per_day) / len(per_day) / NUSD if len(per_day) >= 3 else None
    running = 0.0
    so_far: list[float | None] = []
    ahead: list[float | None] = []
    for day in days:
        if day <= asked.now.date():
            running += cells[(day,)].cost_nusd / NUSD if (day,) in cells else 0.0
            so_far.append(running)
            ahead.append(running if day == asked.now.date() else None)
        else:
            so_far.append(None)
            running += mean or 0.0
            ahead.append(running if mean is not None else None)
    labels = tuple(f"{day:%b} {day.day}" for day in days)
    series = (Series("spent", tuple(so_far)), Series("expected", tuple(ahead)))
    return Chart(title="This month, summed up", labels=labels, series=series, unit="USD", stacked=False, line=True)


def _range(whole: Projection | None) -> str:
    return "needs three whole days" if whole is None else f"between {money(round(whole.low))} and {money(round(whole.high))}"


reports.add(Forecast.name, Forecast())
