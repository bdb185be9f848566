"""Feeds the metrics from what the pipeline tells its observers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from llm_gateway.engine.ports import Rejection, Settlement

from . import metrics


@lru_cache(maxsize=2048)
def _requests(kind: str, dialect: str, state: str, provider: str, code: str) -> Any:
    return metrics.REQUESTS.labels(kind, dialect, state, provider, code)


@lru_cache(maxsize=2048)
def _attempts(provider: str, outcome: str, error_class: str) -> Any:
    return metrics.ATTEMPTS.labels(provider, outcome, error_class)


@lru_cache(maxsize=512)
def _tokens(provider: str, kind: str) -> Any:
    return metrics.TOKENS.labels(provider, kind)


@lru_cache(maxsize=256)
def _per_kind(kind: str) -> tuple[Any, Any]:
    return metrics.DURATION.labels(kind), metrics.FIRST.labels(kind)


@lru_cache(maxsize=256)
def _cost(provider: str) -> Any:
    return metrics.COST.labels(provider)


class MetricsObserver:
    """Implements the engine's ``Observer`` port."""

    def finished(self, settlement: Settlement) -> None:
        call = settlement.opened.call
        provider = (settlement.target or settlement.opened.target).provider.slug
        _requests(call.kind, call.inbound.dialect, settlement.state, provider, settlement.error_code).inc()
        for attempt in settlement.attempts:
            _attempts(attempt.provider, attempt.outcome, attempt.error_class).inc()
        for kind in ("input", "output"):
            if count := sum(settlement.usage.get(f"{medium}{kind}_tokens") or 0 for medium in ("", "audio_", "image_")):
                _tokens(provider, kind).inc(count)
        if settlement.cost_nusd:
            _cost(provider).inc(settlement.cost_nusd / 1e9)
        duration, first = _per_kind(call.kind)
        duration.observe(settlement.latency_ms / 1000)
        if settlement.ttft_ms is not None:
            first.observe(settlement.ttft_ms / 1000)

    def rejected(self, rejection: Rejection) -> None:
        call = rejection.call
        _requests(call.kind, call.inbound.dialect, rejection.state, "", rejection.error.code if rejection.error else "").inc()
