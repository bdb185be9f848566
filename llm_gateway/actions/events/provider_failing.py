"""A provider fails now, whatever its day was like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Q

from llm_gateway.models import Attempt

from . import events
from ._base import Event, Figure, Figures, Happening

# What the caller's own request was refused for says nothing of the host.
_CALLERS = ("bad_request", "too_large", "context_length")


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    since = now - timedelta(minutes=figures["minutes"])
    tried = Attempt.objects.filter(request__created_at__gte=since).exclude(outcome="cancelled").exclude(error_class__in=_CALLERS)
    found = []
    for row in tried.order_by().values("provider_slug").annotate(all=Count("id"), ok=Count("id", filter=Q(outcome="ok"))):
        failed = row["all"] - row["ok"]
        if row["all"] >= figures["attempts"] and failed * 100 >= figures["percent"] * row["all"]:
            text = f"{row['provider_slug']} failed {failed} of {row['all']} attempts in the last {figures['minutes']} minutes."
            found.append(Happening(f"provider:{row['provider_slug']}", text))
    return found


events.add(
    "provider_failing",
    Event(
        title="Provider failing",
        summary="So large a share of the attempts at a provider fails in the last minutes.",
        look=look,
        figures=(
            Figure("percent", "Percent of attempts that fail", 50, most=100),
            Figure("attempts", "From so many attempts on", 4),
            Figure("minutes", "Within so many minutes", 5, most=1440),
        ),
        urgent=True,
    ),
)
