"""The tiles and charts of home, from one reading of the last 24 hours and one of the last 30 days."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.urls import reverse

from analytics import queries
from analytics.charts import rendered
from analytics.links import Requests
from analytics.measures import Measures, folded
from analytics.reports import Asked, Chart, Series
from analytics.reports._money import money
from analytics.reports.cost import daily_cost
from analytics.rollups import floor_hour
from llm_gateway.core.money import format_usd
from llm_gateway.models import Budget

DAYS = 30
HOURS = 24
# More colours than this cannot be told apart; the rest is summed as "others".
MOST_SERIES = 7
MOST_BUDGETS = 5
_GROUPS = ("hour", "provider", "model")
Cells = Mapping[tuple[Any, ...], Measures]


class Kpi(msgspec.Struct, frozen=True, kw_only=True):
    label: str
    value: str
    note: str = ""
    tone: str = ""
    url: str = ""
    small: bool = False


class Day(msgspec.Struct, frozen=True):
    """The last 24 hours by hour, provider and model."""

    hours: tuple[datetime, ...]
    cells: Cells

    @property
    def total(self) -> Measures:
        return folded(self.cells, ()).get((), Measures())

    @property
    def by_provider(self) -> dict[str, Measures]:
        return {key[0]: cell for key, cell in folded(self.cells, (1,)).items()}


def last_day(now: datetime) -> Day:
    """From the hour on, so that the rollups have all of it."""
    first = floor_hour(now) - timedelta(hours=HOURS - 1)
    hours = tuple(first + timedelta(hours=n) for n in range(HOURS))
    return Day(hours, queries.spend(_GROUPS, first, now, times=True))


def tiles(day: Day, now: datetime) -> list[Kpi]:
    midnight = queries.today(now)
    last = day.total
    today = queries.totals(midnight, now)
    month = queries.totals(midnight.replace(day=1), now)
    rate = last.success_rate
    requests = reverse("admin:llm_gateway_requestlog_changelist")
    cost, speed = reverse("reports:report", args=["cost"]), reverse("reports:report", args=["performance"])
    return [
        Kpi(label="Requests, 24 h", value=f"{last.requests:,}", note=_aside(last), url=f"{requests}?when=24h"),
        Kpi(
            label="Success rate, 24 h",
            value="—" if rate is None else f"{rate:.2%}",
            note=f"{last.answered - last.ok:,} of {last.answered:,} not answered in full" if rate is not None else "no requests yet",
            tone="" if rate is None or rate >= 0.99 else "warn" if rate >= 0.95 else "bad",
            url=f"{requests}?when=24h&state__exact=failed",
        ),
        # Refusals are no failures, and are seen all the same.
        Kpi(
            label="Refused, 24 h",
            value=f"{last.rejected:,}",
            note=f"{last.rejected / last.requests:.1%} of all requests" if last.requests else "nothing was asked",
            tone="warn" if last.rejected > max(5, last.requests / 20) else "",
            url=f"{requests}?when=24h&state__exact=rejected",
        ),
        Kpi(label="Cost today", value=_money(today), note=_unknown(today) or "since midnight UTC", url=f"{cost}?range=today"),
        Kpi(label="Cost this month", value=_money(month), note=_unknown(month) or f"{now:%B}", url=f"{cost}?range=month"),
        Kpi(label="Tokens, 24 h", value=_short(last.tokens), note=f"{_short(last.output_tokens)} of them written"),
        Kpi(
            label="Latency p50 / p95, 24 h",
            value=f"{ms(last.latency_at(0.5))} / {ms(last.latency_at(0.95))}",
            note=f"first token {ms(last.ttft_at(0.5))}" if last.ttft_count else "of answered requests",
            url=speed,
            small=True,
        ),
    ]


def charts(day: Day, now: datetime, *, jumps: bool) -> list[dict[str, Any]]:
    end = queries.today(now) + timedelta(days=1)
    cost = daily_cost(Asked(start=end - timedelta(days=DAYS), end=end, now=now, group_by=("day", "provider")))
    links = Requests(cost.days[0], cost.days[-1]) if jumps and cost.days else None
    lead = links.of_chart(cost.by, [series.key for series in cost.series], cost.days) if links is not None else ()
    asked = _stacked(day, 1, "Requests per hour by provider", lambda cell: float(cell.requests))
    tokens = _stacked(day, 2, "Tokens per hour by model", lambda cell: float(cell.tokens))
    return [rendered(asked), rendered(_times(day)), rendered(cost, lead), rendered(tokens)]


def _stacked(day: Day, place: int, title: str, of: Any) -> Chart:
    cells = folded(day.cells, (0, place))
    sums: dict[str, float] = {}
    for (_, name), cell in cells.items():
        sums[name] = sums.get(name, 0) + of(cell)
    ranked = [name for name in sorted(sums, key=lambda n: (-sums[n], n)) if sums[name]]
    shown, rest = ranked[:MOST_SERIES], ranked[MOST_SERIES:]

    def values(names: Sequence[str]) -> tuple[float, ...]:
        return tuple(sum(of(cells[(hour, name)]) for name in names if (hour, name) in cells) for hour in day.hours)

    series = [Series(name or "(never sent)", values([name]), name) for name in shown]
    if rest:
        series.append(Series("others", values(rest)))
    return Chart(title=title, labels=_labels(day), series=tuple(series))


def _times(day: Day) -> Chart:
    by_hour = folded(day.cells, (0,))
    cells = [by_hour.get((hour,), Measures()) for hour in day.hours]
    lines: tuple[tuple[str, Callable[[Measures], float | None]], ...] = (
        ("p95", lambda cell: cell.latency_at(0.95)),
        ("p50", lambda cell: cell.latency_at(0.5)),
        ("first token, p50", lambda cell: cell.ttft_at(0.5)),
    )
    series = tuple(Series(name, tuple(of(cell) for cell in cells)) for name, of in lines)
    return Chart(title="Latency per hour", labels=_labels(day), series=series, unit="ms", stacked=False, line=True)


def _labels(day: Day) -> tuple[str, ...]:
    return tuple(f"{hour:%H}:00" for hour in day.hours)


def budgets(now: datetime) -> list[dict[str, Any]]:
    """Those nearest to their limits, with what is spent and held in the present period."""
    from llm_gateway.admin._period import spent_and_held

    found: list[dict[str, Any]] = []
    for row in Budget.objects.filter(enabled=True).order_by("name"):
        posted, held = spent_and_held(row)
        limit = row.limit_at(now)
        spent = min(100.0, 100 * posted / limit) if limit else 100.0
        found.append(
            {
                "name": row.name,
                "url": reverse("admin:llm_gateway_budget_change", args=[row.pk]),
                "period": row.get_period_display(),
                "posted": f"{spent:.1f}",
                "held": f"{min(100 - spent, 100 * held / limit) if limit else 0:.1f}",
                "said": f"${format_usd(posted)} spent, ${format_usd(held)} held of ${format_usd(limit)}",
                "over": posted + held >= limit,
                "share": (posted + held) / limit if limit else 1.0,
            }
        )
    return sorted(found, key=lambda one: -one["share"])[:MOST_BUDGETS]


def ms(value: float | None) -> str:
    return "—" if value is None else f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def _aside(cell: Measures) -> str:
    parts = [(cell.rejected, "refused"), (cell.cancelled, "cancelled"), (cell.orphaned, "orphaned")]
    return ", ".join(f"{count:,} {word}" for count, word in parts if count) or f"{cell.attempts:,} attempts upstream"


def _money(cell: Measures) -> str:
    cost = cell.total_nusd
    return "unknown" if cost is None else money(cost)


cost_of = _money


def _unknown(cell: Measures) -> str:
    count = cell.unknown_cost_requests
    return f"and {count:,} {'request' if count == 1 else 'requests'} of unknown cost" if count else ""


def _short(number: int) -> str:
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (10_000, "k")):
        if number >= size:
            return f"{number / (1000 if unit == 'k' else size):,.1f}{unit}"
    return f"{number:,}"
