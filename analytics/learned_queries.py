"""Sums over the days of learning strategies."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from django.db.models import Sum

from llm_gateway.models import LearnedDay


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """Of a version, a side and a group of callers, over all days asked for. ``cost_nusd``: of ``priced`` requests; ``score``: of
    ``scored``."""

    version: int
    held: bool
    bucket: int
    requests: int
    ok: int
    priced: int
    cost_nusd: int
    scored: int
    score: int


def by_bucket(start: datetime, end: datetime) -> list[Day]:
    """Days are UTC's."""
    sums = ("requests", "ok", "priced", "cost_nusd", "scored", "score")
    rows = LearnedDay.objects.filter(day__gte=start.astimezone(UTC).date(), day__lt=end.astimezone(UTC).date())
    # Aggregates may not have the names of columns.
    found = rows.values_list("version", "held", "bucket").annotate(**{f"sum_{name}": Sum(name) for name in sums}).order_by()
    names = ("version", "held", "bucket", *sums)
    return [Day(**dict(zip(names, row, strict=True))) for row in found]
