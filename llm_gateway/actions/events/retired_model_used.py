"""Somebody still asks for a model that is retired, or soon will be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Max, Q

from llm_gateway.models import RequestLog

from . import events
from ._base import Event, Figure, Figures, Happening


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    since = now - timedelta(hours=figures["hours"])
    old = Q(model__lifecycle__in=("deprecated", "retired")) | Q(decision__stands_in_for__isnull=False)
    rows = RequestLog.objects.filter(old, created_at__gte=since).order_by().values("asked_model")
    return [
        Happening(
            f"model:{row['asked_model']}"[:120],
            f"“{row['asked_model'] or 'auto'}” leads to a deprecated model or stands for a retired one: {row['count']} "
            f"request{'s' if row['count'] > 1 else ''} in the last {figures['hours']} hours, the newest at {row['newest']:%H:%M} UTC.",
        )
        for row in rows.annotate(count=Count("id"), newest=Max("created_at"))[:50]
    ]


events.add(
    "retired_model_used",
    Event(
        title="Retired model used",
        summary="Requests name a model that is retired or deprecated.",
        look=look,
        figures=(Figure("hours", "Within so many hours", 24, most=168),),
        every=timedelta(minutes=10),
    ),
)
