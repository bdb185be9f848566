"""Answers take too long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from llm_gateway.core.outcomes import RequestState
from llm_gateway.models import RequestLog

from . import events
from ._base import Event, Figure, Figures, Happening


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    since = now - timedelta(minutes=figures["minutes"])
    answered = RequestLog.objects.filter(created_at__gte=since, state=RequestState.OK, latency_ms__isnull=False).order_by("latency_ms")
    count = answered.count()
    if count < figures["requests"]:
        return []
    # The nearest rank: so many answers in a hundred were at least as fast.
    rank = min(count - 1, -(-95 * count // 100) - 1)
    p95 = next(iter(answered.values_list("latency_ms", flat=True)[rank : rank + 1]), 0) or 0
    if p95 <= figures["p95_ms"]:
        return []
    return [Happening("gateway", f"One answer in twenty took {p95 / 1000:.1f} s or longer in the last {figures['minutes']} minutes.")]


events.add(
    "latency",
    Event(
        title="Latency",
        summary="One answer in twenty (p95) takes longer than this.",
        look=look,
        figures=(
            Figure("p95_ms", "p95 in milliseconds", 60_000, most=3_600_000),
            Figure("requests", "From so many answers on", 20),
            Figure("minutes", "Within so many minutes", 10, most=1440),
        ),
    ),
)
