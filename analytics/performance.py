"""Performance as frozen values: what the API and the dashboards show. SQL is in :mod:`analytics.queries`, statistics in
:mod:`analytics.statistics`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import msgspec

from llm_gateway.core.money import to_usd

from . import queries
from .measures import TOKENS, Measures
from .queries import ANYTHING, Filters
from .statistics import Interval, mean_interval, wilson


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Times in milliseconds over successful requests; percentiles from a histogram, within 5 %. ``success_rate`` is the share of requests
    that were to be answered and were; refused, cancelled and replayed ones are counted in ``requests`` only. ``cost_usd`` sums the known
    costs and the corrections booked in that time, ``None`` when none is known; ``unknown_cost_requests`` are not
    in it. ``None`` everywhere: nothing known, never 0."""

    requests: int
    successes: int
    answered: int
    failures: int
    rejected: int
    cancelled: int
    orphaned: int
    attempts: int
    success_rate: float | None
    latency_avg_ms: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    ttft_avg_ms: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    ttft_p99_ms: float | None
    tokens: dict[str, int]
    cost_nusd: int | None
    cost_usd: Decimal | None
    unknown_cost_requests: int
    estimated_requests: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider. Intervals are of 95 % confidence: Wilson's for the success rate, the normal one for the mean latency
    (``None`` below two answers)."""

    model: str
    provider: str
    metrics: Metrics
    success_rate_interval: Interval | None
    latency_avg_interval: Interval | None
    cost_per_request_usd: Decimal | None


def performance_metrics(start: datetime, end: datetime, filters: Filters = ANYTHING) -> Metrics:
    return metrics_of(queries.totals(start, end, filters, times=True))


def performance_comparison(start: datetime, end: datetime, filters: Filters = ANYTHING) -> list[Compared]:
    """Models side by side, most used first. Requests that reached no model are left out."""
    return side_by_side(queries.spend(("model", "provider"), start, end, filters, times=True))


def side_by_side(cells: Mapping[tuple[str, str], Measures]) -> list[Compared]:
    """Most used first; ``cells`` by model and provider."""
    found = [compared(model, provider, cell) for (model, provider), cell in cells.items() if model]
    return sorted(found, key=lambda c: (-c.metrics.requests, c.model, c.provider))


def compared(model: str, provider: str, cell: Measures) -> Compared:
    mean, deviation = cell.latency_mean_ms, cell.latency_deviation_ms
    priced = cell.requests - cell.rejected - cell.replayed - cell.cached - cell.unknown_cost_requests
    return Compared(
        model=model,
        provider=provider,
        metrics=metrics_of(cell),
        success_rate_interval=wilson(cell.ok, cell.answered),
        latency_avg_interval=mean_interval(mean, deviation, cell.latency_count),
        cost_per_request_usd=to_usd(cell.cost_nusd // priced) if priced > 0 else None,
    )


def metrics_of(cell: Measures) -> Metrics:
    cost = cell.total_nusd
    return Metrics(
        requests=cell.requests,
        successes=cell.ok,
        answered=cell.answered,
        failures=cell.failed + cell.partial,
        rejected=cell.rejected,
        cancelled=cell.cancelled,
        orphaned=cell.orphaned,
        attempts=cell.attempts,
        success_rate=cell.success_rate,
        latency_avg_ms=cell.latency_mean_ms,
        latency_p50_ms=cell.latency_at(0.50),
        latency_p95_ms=cell.latency_at(0.95),
        latency_p99_ms=cell.latency_at(0.99),
        ttft_avg_ms=cell.ttft_mean_ms,
        ttft_p50_ms=cell.ttft_at(0.50),
        ttft_p95_ms=cell.ttft_at(0.95),
        ttft_p99_ms=cell.ttft_at(0.99),
        tokens={name: getattr(cell, name) for name in TOKENS},
        cost_nusd=cost,
        cost_usd=None if cost is None else to_usd(cost),
        unknown_cost_requests=cell.unknown_cost_requests,
        estimated_requests=cell.estimated_requests,
    )
