"""Settlements wait in files, or no database took them: money that no report shows yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from llm_gateway.models import AuditRun

from . import events
from ._base import Event, Figures, Happening

_RULES = ("S1", "S2")


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    run = AuditRun.objects.filter(kind="watch").first()
    broken = [one for one in (run.findings if run else ()) if one.get("code") in _RULES and one.get("broken")]
    return [Happening(one["code"], f"Broken: {one['title']} ({', '.join(map(str, one['offenders']))})."[:480]) for one in broken]


events.add(
    "spool_not_empty",
    Event(title="Spool not empty", summary="Settlements wait in files or were set aside.", look=look, urgent=True),
)
