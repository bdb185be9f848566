"""Models side by side: how often they answer, how fast, for how much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analytics import queries
from analytics.measures import Measures, folded
from analytics.performance import Compared, metrics_of, side_by_side
from llm_gateway.core.money import to_nusd

from . import reports
from ._base import Asked, Card, Chart, Column, Series, Sheet
from ._names import Named


class Performance:
    name = "performance"
    title = "Performance"
    icon = "speed"
    position = 20
    summary = "Models side by side. Ranges are 95 % confidence intervals: where two overlap, the difference may be chance."
    dated = True
    groups = ("origin",)
    default_groups = ()
    option_title = ""

    def options(self) -> tuple[tuple[str, str], ...]:
        return ()

    def build(self, asked: Asked) -> Sheet:
        # Read once: histograms are most of the work.
        cells = queries.spend(("day", "model", "provider", "origin"), asked.start, asked.end, asked.filters, times=True, zone=asked.zone)
        total = metrics_of(folded(cells, ()).get((), Measures()))
        apart = "origin" in asked.group_by
        origins = sorted({key[3] for key in cells}) if apart else [None]
        rate = "unknown" if total.success_rate is None else f"{total.success_rate:.2%}"
        return Sheet(
            columns=(*((Column("origin", "Origin"),) if apart else ()), *_COLUMNS),
            rows=tuple(row for origin in origins for row in _rows(cells, origin)),
            cards=(
                Card("Success rate", rate, f"{total.successes:,} of {total.answered:,}"),
                Card("Median latency", _ms(total.latency_p50_ms), f"p95 {_ms(total.latency_p95_ms)}, p99 {_ms(total.latency_p99_ms)}"),
                Card("First token", _ms(total.ttft_p50_ms), f"median; p95 {_ms(total.ttft_p95_ms)}"),
                Card("Attempts", f"{total.attempts:,}", f"for {total.requests:,} requests"),
            ),
            chart=_chart(asked, folded(cells, (0,))),
            notes=("Latencies are of successful requests. Percentiles come from a histogram and are within 5 %.",),
        )


_COLUMNS = (
    Column("model", "Model"),
    Column("provider", "Provider"),
    Column("requests", "Requests", "count"),
    Column("success_rate", "Success", "share", absent=""),
    Column("success_low", "from", "share", absent=""),
    Column("success_high", "to", "share", absent=""),
    Column("latency_p50_ms", "p50", "ms", absent=""),
    Column("latency_p95_ms", "p95", "ms", absent=""),
    Column("latency_p99_ms", "p99", "ms", absent=""),
    Column("latency_avg_ms", "Mean", "ms", absent=""),
    Column("latency_avg_low_ms", "from", "ms", absent=""),
    Column("latency_avg_high_ms", "to", "ms", absent=""),
    Column("ttft_p50_ms", "First token", "ms", absent=""),
    Column("cost_per_request_usd", "Per request", "usd", absent=""),
)


def _rows(cells: dict[tuple[Any, ...], Measures], origin: str | None) -> Iterator[tuple[Any, ...]]:
    """Of one origin, named in front; ``None``: of all together."""
    wanted = cells if origin is None else {key: cell for key, cell in cells.items() if key[3] == origin}
    front = () if origin is None else (Named(origin, origin),)
    for entry in side_by_side(folded(wanted, (1, 2))):
        yield (*front, *_row(entry))


def _row(entry: Compared) -> tuple[Any, ...]:
    m, rate, mean = entry.metrics, entry.success_rate_interval, entry.latency_avg_interval
    return (
        Named(entry.model, entry.model),
        Named(entry.provider, entry.provider),
        m.requests,
        m.success_rate,
        rate.low if rate else None,
        rate.high if rate else None,
        m.latency_p50_ms,
        m.latency_p95_ms,
        m.latency_p99_ms,
        m.latency_avg_ms,
        mean.low if mean else None,
        mean.high if mean else None,
        m.ttft_p50_ms,
        None if entry.cost_per_request_usd is None else to_nusd(entry.cost_per_request_usd),
    )


def _chart(asked: Asked, cells: dict[tuple[Any, ...], Measures]) -> Chart:
    days = asked.days
    lines = [
        Series(name, tuple(cells[(day,)].latency_at(share) if (day,) in cells else None for day in days))
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    ]
    labels = tuple(f"{day:%b} {day.day}" for day in days)
    return Chart(title="Latency per day", labels=labels, series=tuple(lines), unit="ms", stacked=False, line=True)


def _ms(value: float | None) -> str:
    return "—" if value is None else f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


reports.add(Performance.name, Performance())
