"""Learn from what the log has new: sums, then coefficients that every worker reads with its next catalogue."""

from __future__ import annotations

import logging
import math
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from llm_gateway.core.learning import Memory, features, priors, weights_of_keys
from llm_gateway.models import CatalogueVersion, LanguageModel, LearnerClock, LearnerState, RequestLog, Strategy
from llm_gateway.stores.contexts import ContextReader
from llm_gateway.strategies import Choice, read_choice

from .measure_learned import TAUGHT_BY, measure

log = logging.getLogger("cogo.learner")
KIND = "learned"
# A request has so long to end before it is learnt from; one that takes longer teaches nothing.
SETTLED = timedelta(minutes=2)
FIRST = timedelta(days=7)
AT_ONCE = 20_000
_ENDED = ("ok", "partial", "failed")


class Lesson(msgspec.Struct, frozen=True):
    """Of one request: the model that stood first, what was known before, and what came of it."""

    model: int
    key: str
    x: list[tuple[int, float]]
    results: dict[str, float | None]
    extra_nusd: int


def fit_learner(now: datetime | None = None) -> int:
    """How many requests were learnt from; 0 while no strategy learns. In one transaction: a process that is killed has learnt nothing."""
    now = now or timezone.now()
    settings = [row.settings for row in Strategy.objects.filter(kind=KIND)]
    if not settings:
        return 0
    with transaction.atomic():
        LearnerClock.objects.get_or_create(pk=1)
        clock = LearnerClock.objects.select_for_update().get(pk=1)
        since, until = clock.learnt_until or now - FIRST, now - SETTLED
        if until <= since:
            return 0
        lessons, until = _lessons(since, until)
        scored, measured_until = measure(settings, clock.measured_until, now)
        memories = {row.model_id: msgspec.convert(row.memory, Memory) for row in LearnerState.objects.all()}
        for memory in memories.values():
            memory.fade((until - since).total_seconds())
        weights = weights_of_keys(Counter(lesson.key for lesson in lessons))
        known = set(LanguageModel.objects.values_list("pk", flat=True))
        for lesson in lessons:
            if lesson.model in known:
                memories.setdefault(lesson.model, Memory()).add(lesson.x, lesson.results, weights[lesson.key])
        for model, x, quality in scored:
            if model in known:
                memories.setdefault(model, Memory()).add(x, {"quality": quality})
        clock.measured_until = measured_until
        if clock.day != now.date():
            clock.day, clock.explored_nusd = now.date(), 0
        clock.explored_nusd += sum(lesson.extra_nusd for lesson in lessons)
        clock.learnt_until = until
        clock.save()
        most = max(float(one.get("explore_usd_per_day", 0.0)) for one in settings)
        may = clock.explored_nusd < most * 1e9
        means = priors(memories.values())
        for model, memory in memories.items():
            learnt = msgspec.to_builtins(memory.learnt(means, may))
            LearnerState.objects.update_or_create(model_id=model, defaults={"memory": msgspec.to_builtins(memory), "learnt": learnt})
        CatalogueVersion.bump()
    log.info("the learner was fitted", extra={"requests": len(lessons), "models": len(memories), "may_explore": may})
    return len(lessons)


def _lessons(since: datetime, until: datetime) -> tuple[list[Lesson], datetime]:
    """What ended since then, and up to when that is all: a long log is learnt from in pieces."""
    rows = RequestLog.objects.filter(TAUGHT_BY, created_at__gte=since, created_at__lt=until, state__in=_ENDED, simulated=False)
    fields = ("created_at", "client_key__public_id", "stream", "choice", "state", "cost_nusd", "latency_ms")
    values = list(rows.exclude(choice=None).order_by("created_at").values_list(*fields)[:AT_ONCE])
    if len(values) == AT_ONCE:
        until = values[-1][0]
        values = [row for row in values if row[0] < until]
    reader = ContextReader()
    lessons = []
    for at, client, stream, text, state, cost, latency in values:
        try:
            choice = read_choice(text)
        except ValueError:
            continue
        listed = reader.candidates(choice.candidates)
        if listed is None or choice.first >= len(listed[0]):
            continue
        facts = choice.facts(at, client or "", stream)
        x = features(facts.prompt_tokens, facts.needs, facts.task_type, facts.language, facts.stream)
        ok = state == "ok"
        results: dict[str, float | None] = {
            "success": float(ok),
            "log_cost": math.log(cost) if cost else None,
            "log_latency": math.log(latency) if ok and latency else None,
        }
        lessons.append(Lesson(listed[0][choice.first][1], client or "", x, results, _extra(choice)))
    return lessons, until


def _extra(choice: Choice) -> int:
    """What a look at another than the likeliest may have cost more, at most."""
    shares: Any = dict(zip(map(int, choice.p[::2]), choice.p[1::2], strict=True))
    if not shares:
        return 0
    best = max(shares, key=lambda place: shares[place])
    if best == choice.first or best >= len(choice.estimates):
        return 0
    return max(0, (choice.estimates[choice.first] or 0) - (choice.estimates[best] or 0))
