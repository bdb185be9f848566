"""Feeds the metrics from the pipeline's observer events."""

from __future__ import annotations

from llm_gateway.engine.ports import Rejection, Settlement

from . import metrics
from .tallies import Times, Total

_requests = Total(metrics.REQUESTS)
_attempts = Total(metrics.ATTEMPTS)
_tokens = Total(metrics.TOKENS)
_cost = Total(metrics.COST)
_duration = Times(metrics.DURATION)
_first = Times(metrics.FIRST)


class MetricsObserver:
    """Implements the engine's ``Observer`` port."""

    def finished(self, settlement: Settlement) -> None:
        call = settlement.opened.call
        kind = call.kind
        provider = (settlement.target or settlement.opened.target).provider.slug
        _requests.add((kind, call.inbound.dialect, settlement.state, provider, settlement.error_code))
        for attempt in settlement.attempts:
            _attempts.add((attempt.provider, attempt.outcome, attempt.error_class))
        if usage := settlement.usage:
            for what, (text, audio, image) in _TOKENS:
                if count := (usage.get(text) or 0) + (usage.get(audio) or 0) + (usage.get(image) or 0):
                    _tokens.add((provider, what), count)
        if settlement.cost_nusd:
            _cost.add((provider,), settlement.cost_nusd / 1e9)
        if settlement.latency_ms is not None:
            _duration.add((kind,), settlement.latency_ms / 1000)
        if settlement.ttft_ms is not None:
            _first.add((kind,), settlement.ttft_ms / 1000)

    def rejected(self, rejection: Rejection) -> None:
        call = rejection.call
        _requests.add((call.kind, call.inbound.dialect, rejection.state, "", rejection.error.code if rejection.error else ""))


_TOKENS = tuple((kind, (f"{kind}_tokens", f"audio_{kind}_tokens", f"image_{kind}_tokens")) for kind in ("input", "output"))
