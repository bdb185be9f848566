"""Callers get errors, whichever provider is to blame."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Q

from llm_gateway.core.outcomes import RequestState
from llm_gateway.models import RequestLog

from . import events
from ._base import Event, Figure, Figures, Happening


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    since = now - timedelta(minutes=figures["minutes"])
    ended = RequestLog.objects.filter(
        created_at__gte=since, state__in=(RequestState.OK, RequestState.FAILED, RequestState.PARTIAL, RequestState.ORPHANED)
    )
    counts = ended.aggregate(all=Count("id"), ok=Count("id", filter=Q(state=RequestState.OK)))
    failed = counts["all"] - counts["ok"]
    if counts["all"] < figures["requests"] or failed * 100 < figures["percent"] * counts["all"]:
        return []
    return [Happening("gateway", f"{failed} of {counts['all']} requests failed in the last {figures['minutes']} minutes.")]


events.add(
    "error_rate",
    Event(
        title="Error rate",
        summary="So large a share of all requests that were to be answered was not.",
        look=look,
        figures=(
            Figure("percent", "Percent of requests that fail", 10, most=100),
            Figure("requests", "From so many requests on", 20),
            Figure("minutes", "Within so many minutes", 10, most=1440),
        ),
        urgent=True,
    ),
)
