"""Sums over scores and feedback, by group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from django.db.models import Avg, Count, F, Max, OuterRef, Q, QuerySet, Subquery, Sum

from llm_gateway.models import AnswerScore, Feedback, Judgement, RequestLog

from .queries import Filters

Group = tuple[str, ...]
Row = TypeVar("Row", AnswerScore, Judgement)
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


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge said. ``count`` and ``total``: answers with a value, and their sum, 0 to 1. ``unknown``: answers without one. ``asked``:
    questions with a clear answer both times; ``differed``: those of them with two different ones."""

    count: int = 0
    total: float = 0
    unknown: int = 0
    asked: int = 0
    differed: int = 0


def judgements(groups: Sequence[str], start: datetime, end: datetime, filters: Filters) -> dict[Group, Judged]:
    """Of the newest version of the judge: what different ones said does not compare."""
    newest = Judgement.objects.aggregate(newest=Max("version"))["newest"]
    columns = [_COLUMNS[name] for name in groups]
    rows = _narrowed(Judgement.objects.filter(created_at__gte=start, created_at__lt=end, version=newest), start, end, filters)
    found = rows.values_list(*columns).annotate(
        n=Count("value"), total=Sum("value"), every=Count("pk"), all_asked=Sum("asked"), all_differed=Sum("differed")
    )
    return {
        tuple(part or "" for part in row[: len(columns)]): Judged(
            count=row[-5], total=row[-4] or 0, unknown=row[-3] - row[-5], asked=row[-2] or 0, differed=row[-1] or 0
        )
        for row in found.order_by()
    }


def _within(start: datetime, end: datetime, filters: Filters) -> QuerySet[AnswerScore]:
    return _narrowed(AnswerScore.objects.filter(created_at__gte=start, created_at__lt=end), start, end, filters)


def _narrowed(rows: QuerySet[Row], start: datetime, end: datetime, filters: Filters) -> QuerySet[Row]:
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
