"""A background job failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count
from django_q.models import Failure

from . import events
from ._base import Event, Figure, Figures, Happening


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    since = now - timedelta(minutes=figures["minutes"])
    rows = Failure.objects.filter(stopped__gte=since).order_by().values("func").annotate(count=Count("id"))
    return [
        Happening(
            f"task:{row['func']}"[:120],
            f"The job {row['func'].rpartition('.')[2]} failed {row['count']} time{'s' if row['count'] > 1 else ''} in the last "
            f"{figures['minutes']} minutes; Failed jobs has the reason.",
        )
        for row in rows
    ]


events.add(
    "task_failed",
    Event(
        title="Task failed",
        summary="A background job ended with an error.",
        look=look,
        figures=(Figure("minutes", "Within so many minutes", 15, most=1440),),
    ),
)
