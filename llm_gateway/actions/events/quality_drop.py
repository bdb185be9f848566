"""Answers of a model score lower than they did: models change, and nobody says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, F, Sum

from llm_gateway.actions._memory import recall, remember
from llm_gateway.models import AnswerScore
from llm_gateway.policies.drops import fallen
from llm_gateway.policies.evidence import Sums
from llm_gateway.scorers import FORMULA

from . import events
from ._base import Event, Figure, Figures, Happening

MEMORY = "quality by day"
Group = tuple[str, str]


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    since = now - timedelta(hours=figures["hours"])
    recent = _sums(since, now)
    before = _before(since.astimezone(UTC).date(), figures["days"])
    found = []
    for group, seen in sorted(recent.items()):
        fall = fallen(before.get(group, Sums()), seen, at_least=figures["points"], values=figures["answers"])
        if fall is not None:
            model, task = group
            found.append(
                Happening(
                    f"quality:{model}:{task}"[:120],
                    f"Answers of {model}{f' to {task}' if task else ''} score {fall.now:.0f} in the last {figures['hours']} hours and "
                    f"scored {fall.was:.0f} in the {figures['days']} days before: {fall.least:.0f} to {fall.most:.0f} points less, "
                    f"by {seen.n} answers.",
                )
            )
    return found


def _sums(start: datetime, end: datetime) -> dict[Group, Sums]:
    """By model and task, of answers whose code was looked at."""
    rows = AnswerScore.objects.filter(
        created_at__gte=start, created_at__lt=end, formula=FORMULA, coded=True, score__isnull=False, model__isnull=False
    )
    found = rows.values_list("model__name", "task_type").annotate(n=Count("pk"), total=Sum("score"), squares=Sum(F("score") * F("score")))
    return {(model, task): Sums(n=n, total=total, squares=squares) for model, task, n, total, squares in found.order_by()}


def _before(until: date, days: int) -> Mapping[Group, Sums]:
    """Of the whole days before ``until``. A day that is over is read once, so that a look costs what a day costs."""
    memory = recall(MEMORY)
    kept = memory.get("days", {}) if memory.get("formula") == FORMULA else {}
    wanted = [until - timedelta(days=back) for back in range(1, days + 1)]
    today: dict[str, list[list[object]]] = {}
    total: dict[Group, Sums] = {}
    for day in wanted:
        rows = kept.get(day.isoformat())
        if rows is None:
            start = datetime.combine(day, time.min, UTC)
            rows = [[*group, one.n, one.total, one.squares] for group, one in _sums(start, start + timedelta(days=1)).items()]
        today[day.isoformat()] = rows
        for model, task, n, sum_, squares in rows:
            one = total.setdefault((model, task), Sums())
            one.n, one.total, one.squares = one.n + n, one.total + sum_, one.squares + squares
    if set(today) != set(kept):
        remember(MEMORY, {"formula": FORMULA, "days": today})
    return total


events.add(
    "quality_drop",
    Event(
        title="Quality drop",
        summary="Answers of a model to a task score surely lower than in the days before: its provider may have changed it.",
        look=look,
        figures=(
            Figure("points", "At least so many points of 100 lower", 5, most=100),
            Figure("answers", "From so many scored answers on, before and since", 50, least=30),
            Figure("hours", "In the last so many hours", 24, most=168),
            Figure("days", "Compared with so many days before", 7, most=60),
        ),
        every=timedelta(minutes=10),
    ),
)
