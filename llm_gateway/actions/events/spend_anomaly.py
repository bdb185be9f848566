"""An hour costs far more than the hours of the day before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Sum

from llm_gateway.core.money import NUSD, format_usd
from llm_gateway.models import RequestLog

from . import events
from ._base import Event, Figure, Figures, Happening

_BEFORE_H = 24


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    hour = now - timedelta(hours=1)
    spent = _spent(hour, now)
    before = _spent(hour - timedelta(hours=_BEFORE_H), hour) // _BEFORE_H
    if spent < figures["usd"] * NUSD or spent < before * figures["times"]:
        return []
    return [
        Happening(
            "gateway", f"The last hour cost {format_usd(spent)} USD; an hour of the day before cost {format_usd(before)} USD on average."
        )
    ]


def _spent(since: datetime, until: datetime) -> int:
    found = RequestLog.objects.filter(created_at__gte=since, created_at__lt=until).aggregate(sum=Sum("cost_nusd"))["sum"]
    return found or 0


events.add(
    "spend_anomaly",
    Event(
        title="Spend anomaly",
        summary="The last hour cost several times what an hour of the day before did.",
        look=look,
        figures=(
            Figure("times", "Times the average hour of the day before", 5, least=2, most=1000),
            Figure("usd", "From so many USD in the hour on", 5),
        ),
        every=timedelta(minutes=10),
    ),
)
