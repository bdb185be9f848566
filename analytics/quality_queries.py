"""Sums over scores and feedback, by group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db.models import Avg, Count, F, Max, OuterRef, Q, QuerySet, Subquery, Sum

from llm_gateway.models import AnswerScore, Feedback, RequestLog

from .queries import Filters

Group = tuple[str, ...]
_COLUMNS = {"model": "model__name", "language": "language", "task": "task_type"}


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    count: int = 0
    total: float = 0
    squares: float = 0
    capped: int = 0

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


def sums(groups: Sequence[str], start: datetime, end: datetime, filters: Filters, *, coded: bool) -> dict[Group, Sums]:
    """``coded``: only of answers whose code was looked at. The newest formula alone: figures of different ones do not compare."""
    newest = AnswerScore.objects.aggregate(newest=Max("formula"))["newest"]
    rows = _within(start, end, filters).filter(score__isnull=False, formula=newest)
    if coded:
        rows = rows.filter(coded=True)
    columns = [_COLUMNS[name] for name in groups]
    found = rows.values_list(*columns).annotate(
        n=Count("pk"), total=Sum("score"), squares=Sum(F("score") * F("score")), capped=Count("pk", filter=Q(score__lte=40))
    )
    return {
        tuple(part or "" for part in row[: len(columns)]): Sums(count=row[-4], total=row[-3], squares=row[-2], capped=row[-1])
        for row in found.order_by()
    }


def feedback(groups: Sequence[str], start: datetime, end: datetime, filters: Filters) -> dict[Group, float]:
    """The mean of what callers said of answers that have a score."""
    columns = [_COLUMNS[name] for name in groups]
    said = Feedback.objects.filter(request_id=OuterRef("request_id")).order_by().values("request_id").annotate(mean=Avg("score"))
    rows = _within(start, end, filters).annotate(said=Subquery(said.values("mean"))).filter(said__isnull=False)
    return {tuple(part or "" for part in row[:-1]): row[-1] for row in rows.values_list(*columns).annotate(mean=Avg("said")).order_by()}


def _within(start: datetime, end: datetime, filters: Filters) -> QuerySet[AnswerScore]:
    rows = AnswerScore.objects.filter(created_at__gte=start, created_at__lt=end)
    given = filters.given()
    columns: dict[str, Any] = {}
    for name, value in given.items():
        match name:
            case "team_id" | "simulated":
                columns[name] = value
            case "model":
                columns["model__name"] = value
            case "provider":
                columns["provider_slug"] = value
            case _:
                # Of the request itself: few rows are asked about by them.
                of_requests = RequestLog.objects.filter(filters.log(), created_at__gte=start, created_at__lt=end)
                rows = rows.filter(request_id__in=of_requests.values("pk"))
    return rows.filter(**columns)
