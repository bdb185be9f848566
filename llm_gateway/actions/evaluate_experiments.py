"""Look at an experiment: rows of the log as they were assigned, whoever served them, become figures and a verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from llm_gateway.models import Experiment, ExperimentVerdict, RequestLog
from llm_gateway.policies.experiments import METRICS, Arm, Told, analyse
from llm_gateway.strategies import DRAWS, read_choice
from llm_gateway.strategies.ab_testing import assigned, unit_of

_STATES = Experiment.State
# What the gateway or its providers did; a caller who left says nothing of an arm.
_COUNTED = ("ok", "partial", "failed")
CEILING = 0.995


def evaluate_experiments(now: datetime | None = None) -> int:
    """Each that runs; how many."""
    rows = list(Experiment.objects.filter(state=_STATES.RUNNING).select_related("strategy"))
    for row in rows:
        over = row.ends_at is not None and row.ends_at <= (now or timezone.now())
        evaluate(row, stop=over)
    return len(rows)


def evaluate(row: Experiment, *, stop: bool = False) -> Experiment:
    """Figures and verdict of now. One that changed is a row. ``stop``: this was the last look."""
    told = told_of(row)
    now = timezone.now()
    verdict, sentence = told.verdict, told.sentence
    stop = stop or (row.stops_itself and verdict in ("better", "worse", "equivalent", "invalid"))
    if stop and verdict == "collecting":
        verdict, sentence = "undecided", f"It ended without a verdict. {sentence}"
    figures = msgspec.to_builtins(told)
    with transaction.atomic():
        found = Experiment.objects.select_for_update().get(pk=row.pk)
        if found.state != _STATES.RUNNING:
            return found
        if verdict != found.verdict or stop:
            ExperimentVerdict.objects.create(experiment=found, at=now, verdict=verdict, sentence=sentence[:500], figures=figures)
        found.verdict, found.sentence, found.figures, found.looked_at = verdict, sentence[:500], figures, now
        if stop:
            found.state, found.stopped_at = _STATES.STOPPED, now
        found.save()
    return found


def told_of(row: Experiment) -> Told:
    """Reads every row since the start: memory grows with units, not with rows."""
    arms: Mapping[str, float] = {str(name): float(weight) for name, weight in row.arms}
    wanted = list(dict.fromkeys((row.metric, *row.guardrails)))
    ceilings = {name: _ceiling(row, name) for name in wanted if METRICS[name].tailed}
    data: dict[str, dict[str, Arm]] = {name: {arm: Arm() for arm in arms} for name in wanted}
    units: dict[str, set[str]] = defaultdict(set)
    for moment, client, stream, choice, state, cost, latency in _rows(row):
        try:
            found = read_choice(choice)
        except ValueError:
            continue
        unit = unit_of(found.facts(moment, client or "", stream), row.unit)
        if not unit:
            continue  # nobody whom it could stay with: drawn alone, and not in the experiment
        arm = assigned(arms, row.salt, unit, found.draw / DRAWS)
        units[arm].add(unit)
        for name in wanted:
            value = _value(name, state, cost, latency)
            if value is not None:
                data[name][arm].add(unit, min(value, ceilings[name]) if name in ceilings else value)
    counts = {arm: len(found) for arm, found in units.items()}
    return analyse(arms, data, counts, row.metric, row.guardrails, row.minimal_effect)


def _rows(row: Experiment) -> Any:
    rows = RequestLog.objects.filter(policy=row.version, created_at__gte=row.started_at, state__in=_COUNTED)
    if row.stopped_at is not None:
        rows = rows.filter(created_at__lt=row.stopped_at)
    fields = ("created_at", "client_key__public_id", "stream", "choice", "state", "cost_nusd", "latency_ms")
    return rows.exclude(choice=None).order_by("id").values_list(*fields).iterator(chunk_size=2000)


def _value(metric: str, state: str, cost: int | None, latency: int | None) -> float | None:
    match metric:
        case "success":
            return float(state == "ok")
        case "cost":
            return None if cost is None else cost / 1e9
        case _:
            return float(latency) if state == "ok" and latency is not None else None


def _ceiling(row: Experiment, metric: str) -> float:
    """The pooled p99.5 of the values so far."""
    column = "cost_nusd" if metric == "cost" else "latency_ms"
    rows = RequestLog.objects.filter(policy=row.version, created_at__gte=row.started_at, state__in=_COUNTED)
    rows = rows.exclude(**{column: None}).order_by(column)
    count = rows.count()
    if not count:
        return float("inf")
    found = float(rows.values_list(column, flat=True)[min(count - 1, int(count * CEILING))])
    return found / 1e9 if metric == "cost" else found
