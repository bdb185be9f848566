"""GET ``performance/metrics`` and ``performance/comparison``: the figures of the reports, for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from llm_gateway.api.native.auth import HasScope
from llm_gateway.api.native.openapi import documented
from llm_gateway.api.native.shapes import Cost, Shape
from llm_gateway.api.native.views import AsyncAPIView
from llm_gateway.core.catalog import Identity
from llm_gateway.core.money import format_usd, to_nusd
from llm_gateway.core.roles import READS_REPORTS

from .api_asking import BETWEEN, SELECTING, between, filters, read
from .performance import Compared, Metrics, performance_comparison, performance_metrics
from .statistics import Interval

FILTERS = {**SELECTING, **BETWEEN}
_PARAMETERS = [OpenApiParameter(name, str, description=text) for name, text in FILTERS.items()]


class Times(Shape, frozen=True, kw_only=True):
    """Milliseconds over successful requests; percentiles within 5 %. ``null``: nothing was measured."""

    avg: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class TokenSums(Shape, frozen=True, kw_only=True):
    """Disjoint classes; reasoning is a part of the output."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    image_input_tokens: int
    image_output_tokens: int


class MetricsBody(Shape, frozen=True, kw_only=True):
    """``success_rate``: share of the ``answered`` requests, those that were to be answered and not refused, cancelled or replayed.
    ``cost`` sums the known costs and the corrections booked in that time; ``unknown_cost_requests`` are not in it."""

    requests: int
    answered: int
    successes: int
    failures: int
    rejected: int
    cancelled: int
    orphaned: int
    attempts: int
    success_rate: float | None
    latency_ms: Times
    ttft_ms: Times
    tokens: TokenSums
    cost: Cost | None
    unknown_cost_requests: int
    estimated_requests: int


class IntervalBody(Shape, frozen=True, kw_only=True):
    """Of 95 % confidence."""

    low: float
    high: float


class ComparedBody(MetricsBody, frozen=True, kw_only=True):
    """``success_rate_ci`` is Wilson's interval, ``latency_avg_ci_ms`` the normal one of the mean."""

    model: str
    provider: str
    success_rate_ci: IntervalBody | None
    latency_avg_ci_ms: IntervalBody | None
    cost_per_request: Cost | None


class PerformanceMetricsBody(MetricsBody, frozen=True, kw_only=True):
    since: datetime
    until: datetime


class PerformanceComparisonBody(Shape, frozen=True, kw_only=True):
    """Most used first."""

    since: datetime
    until: datetime
    models: list[ComparedBody]


class PerformanceMetrics(AsyncAPIView):
    """Requests, success rate, latency, tokens and cost. A client key sees its own team's figures only; staff see all."""

    permission_classes = (HasScope("read", staff=READS_REPORTS),)

    @documented("performance_metrics", "Performance figures", answer=PerformanceMetricsBody, parameters=_PARAMETERS)
    async def get(self, request: Request) -> PerformanceMetricsBody:
        return await sync_to_async(_metrics)(self.identity, read(request.query_params, FILTERS))


class PerformanceComparison(AsyncAPIView):
    """Models side by side, with confidence intervals. A client key sees its own team's figures only; staff see all."""

    permission_classes = (HasScope("read", staff=READS_REPORTS),)

    @documented("performance_comparison", "Models compared", answer=PerformanceComparisonBody, parameters=_PARAMETERS)
    async def get(self, request: Request) -> PerformanceComparisonBody:
        return await sync_to_async(_comparison)(self.identity, read(request.query_params, FILTERS))


def _metrics(identity: Identity, asked: dict[str, str]) -> PerformanceMetricsBody:
    since, until = between(asked)
    metrics = performance_metrics(since, until, filters(identity, asked))
    return PerformanceMetricsBody(since=since, until=until, **_body(metrics))


def _comparison(identity: Identity, asked: dict[str, str]) -> PerformanceComparisonBody:
    since, until = between(asked)
    found = performance_comparison(since, until, filters(identity, asked))
    return PerformanceComparisonBody(since=since, until=until, models=[_compared(entry) for entry in found])


def _compared(entry: Compared) -> ComparedBody:
    each = entry.cost_per_request_usd
    return ComparedBody(
        model=entry.model,
        provider=entry.provider,
        success_rate_ci=_interval(entry.success_rate_interval),
        latency_avg_ci_ms=_interval(entry.latency_avg_interval),
        cost_per_request=None if each is None else Cost(amount=format_usd(to_nusd(each))),
        **_body(entry.metrics),
    )


def _body(metrics: Metrics) -> dict[str, Any]:
    return {
        "requests": metrics.requests,
        "answered": metrics.answered,
        "successes": metrics.successes,
        "failures": metrics.failures,
        "rejected": metrics.rejected,
        "cancelled": metrics.cancelled,
        "orphaned": metrics.orphaned,
        "attempts": metrics.attempts,
        "success_rate": metrics.success_rate,
        "latency_ms": Times(avg=metrics.latency_avg_ms, p50=metrics.latency_p50_ms, p95=metrics.latency_p95_ms, p99=metrics.latency_p99_ms),
        "ttft_ms": Times(avg=metrics.ttft_avg_ms, p50=metrics.ttft_p50_ms, p95=metrics.ttft_p95_ms, p99=metrics.ttft_p99_ms),
        "tokens": TokenSums(**metrics.tokens),
        "cost": None if metrics.cost_nusd is None else Cost(amount=format_usd(metrics.cost_nusd)),
        "unknown_cost_requests": metrics.unknown_cost_requests,
        "estimated_requests": metrics.estimated_requests,
    }


def _interval(found: Interval | None) -> IntervalBody | None:
    return None if found is None else IntervalBody(low=found.low, high=found.high)
