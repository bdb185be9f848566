"""Who spent what on which model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from analytics import days, queries
from analytics.measures import Measures
from llm_gateway.core.money import NUSD

from . import reports
from ._base import Asked, Card, Chart, Column, Lines, Series, Sheet
from ._money import money
from ._names import TITLES, Names

# More colours than this cannot be told apart; the rest is summed as "others".
MOST_SERIES = 7
# Days that are read, sorted and forgotten together where rows are by day.
DAYS_AT_ONCE = 7


class Cost:
    name = "cost"
    title = "Cost"
    icon = "payments"
    position = 10
    summary = "What was spent, by day, model, provider, team, client key, strategy, tag or origin (live, batch …). The last minute is in."
    dated = True
    groups = ("day", "provider", "model", "client_key_id", "team_id", "strategy", "kind", "tag", "origin")
    default_groups = ("provider", "model")
    option_title = ""

    def options(self) -> tuple[tuple[str, str], ...]:
        return ()

    def build(self, asked: Asked) -> Sheet:
        total = queries.totals(asked.start, asked.end, asked.filters)
        return Sheet(
            columns=(*(Column(name, TITLES[name]) for name in asked.group_by), *_MEASURES),
            rows=Lines(lambda: _lines(asked)),
            totals=(*("Total" if i == 0 else "" for i in range(len(asked.group_by))), *_figures(total)),
            cards=_cards(total),
            chart=daily_cost(asked),
            notes=_notes(total),
        )


_MEASURES = (
    Column("requests", "Requests", "count"),
    Column("input_tokens", "Input", "count"),
    Column("cached_tokens", "Cached", "count"),
    Column("output_tokens", "Output", "count"),
    Column("cost_usd", "Cost (USD)", "usd"),
    Column("adjustments_usd", "Corrections (USD)", "usd"),
    Column("total_usd", "Total (USD)", "usd"),
    Column("cost_per_request_usd", "Per request", "usd", absent=""),
    Column("estimated_share", "Estimated", "share", absent=""),
    Column("unknown_cost_requests", "Unknown cost", "count"),
    Column("orphaned", "Orphaned", "count"),
)


def _lines(asked: Asked) -> Iterator[tuple[Any, ...]]:
    """Newest days first, then the dearest."""
    end = min(asked.end, days.begins(days.of_moment(asked.now, asked.zone) + timedelta(days=1), asked.zone))
    while end > asked.start:
        begin = asked.start
        if "day" in asked.group_by:  # cut between days
            last = days.of_moment(end - timedelta(microseconds=1), asked.zone)
            begin = max(begin, days.begins(last - timedelta(days=DAYS_AT_ONCE - 1), asked.zone))
        cells = queries.spend(asked.group_by, begin, end, asked.filters, zone=asked.zone)
        names = Names(asked.group_by, cells)
        for key, cell in sorted(cells.items(), key=lambda item: _order(asked.group_by, item)):
            yield (*names.of(key), *_figures(cell))
        end = begin


def _figures(cell: Measures) -> tuple[Any, ...]:
    cost = cell.known_cost_nusd
    sent = cell.requests - cell.rejected - cell.replayed - cell.cached
    known = sent - cell.unknown_cost_requests
    return (
        cell.requests,
        cell.input_tokens + cell.audio_input_tokens + cell.image_input_tokens,
        cell.cache_read_tokens + cell.cache_write_tokens + cell.cache_write_1h_tokens,
        cell.output_tokens + cell.audio_output_tokens + cell.image_output_tokens,
        cost,
        cell.adjustments_nusd,
        cell.total_nusd,
        cost // known if cost is not None and known > 0 else None,
        cell.estimated_cost_nusd / cell.cost_nusd if cell.cost_nusd else None,
        cell.unknown_cost_requests,
        cell.orphaned,
    )


def _cards(total: Measures) -> tuple[Card, ...]:
    cost = total.total_nusd
    share = total.estimated_cost_nusd / total.cost_nusd if total.cost_nusd else 0.0
    return (
        Card("Cost", "unknown" if cost is None else money(cost), _corrected(total)),
        Card("Requests", f"{total.requests:,}", f"{total.ok:,} answered in full"),
        Card("Tokens", f"{total.tokens:,}", "in and out, cached ones included"),
        Card("Estimated", f"{share:.1%}", "of the cost rests on estimated usage", "warn" if share > 0.05 else ""),
        Card("Unknown cost", f"{total.unknown_cost_requests:,}", "requests, not in the sum", "bad" if total.unknown_cost_requests else ""),
    )


def _corrected(total: Measures) -> str:
    if not total.adjustments:
        return "of all requests whose cost is known"
    return f"with {total.adjustments:,} corrections of {money(total.adjustments_nusd)}"


def _notes(total: Measures) -> tuple[str, ...]:
    notes = []
    if total.unknown_cost_requests:
        notes.append(f"{total.unknown_cost_requests:,} requests have an unknown cost and are in no sum. Add a price for their models.")
    if total.adjustments:
        notes.append("Corrections are booked when they are found, never on the day of the request: a report that was read stays as it was.")
    if total.orphaned:
        notes.append(
            f"{total.orphaned:,} requests were orphaned: their process ended before the answer was settled, so they are charged as held."
        )
    return tuple(notes)


def _order(groups: tuple[str, ...], item: tuple[tuple[Any, ...], Measures]) -> tuple[Any, ...]:
    """Newest day first, then the dearest."""
    key, cell = item
    days = [-value.toordinal() for name, value in zip(groups, key, strict=True) if name == "day"]
    return (*days, -(cell.total_nusd or 0), -cell.requests, tuple(map(str, key)))


def daily_cost(asked: Asked) -> Chart:
    """Cost per day, stacked by the first thing that is not the day."""
    by = next((name for name in asked.group_by if name != "day"), "provider")
    cells = queries.spend(("day", by), asked.start, asked.end, asked.filters, zone=asked.zone)
    names = Names((by,), {(key[1],) for key in cells})
    sums: dict[Any, int] = {}
    for (_, value), cell in cells.items():
        sums[value] = sums.get(value, 0) + (cell.total_nusd or 0)
    ranked = [value for value in sorted(sums, key=lambda v: (-sums[v], str(v))) if sums[value]]
    shown = ranked[:MOST_SERIES]
    series = [Series(names.one(by, value), _per_day(asked.days, cells, [value]), value) for value in shown]
    if rest := ranked[MOST_SERIES:]:
        series.append(Series("others", _per_day(asked.days, cells, rest)))
    labels = tuple(f"{day:%b} {day.day}" for day in asked.days)
    return Chart(title=f"Cost per day by {TITLES[by].lower()}", labels=labels, series=tuple(series), unit="USD", by=by, days=asked.days)


def _per_day(days: Iterable[date], cells: Mapping[tuple[Any, ...], Measures], values: Iterable[Any]) -> tuple[float, ...]:
    wanted = list(values)
    return tuple(sum(cells[(day, v)].total_nusd or 0 for v in wanted if (day, v) in cells) / NUSD for day in days)


reports.add(Cost.name, Cost())
