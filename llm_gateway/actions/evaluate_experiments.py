"""Look at an experiment: rows of the log as they were assigned, whoever served them, become figures and a verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

import msgspec
from django.db import transaction
from django.utils import timezone

from llm_gateway.models import Experiment, ExperimentHistory, ExperimentVerdict
from llm_gateway.policies.experiments import Arm, Told, analyse
from llm_gateway.strategies import DRAWS
from llm_gateway.strategies.ab_testing import assigned

from ._experiment_rows import before, during, metrics_of

_STATES = Experiment.State


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
            ExperimentHistory.objects.filter(pk=found.pk).delete()
        found.save()
    return found


def told_of(row: Experiment) -> Told:
    """Reads every row since the start: memory grows with units, not with rows."""
    arms: Mapping[str, float] = {str(name): float(weight) for name, weight in row.arms}
    data: dict[str, dict[str, Arm]] = {name: {arm: Arm() for arm in arms} for name in metrics_of(row)}
    units: dict[str, set[str]] = defaultdict(set)
    for one in during(row):
        arm = assigned(arms, row.salt, one.unit, one.choice.draw / DRAWS)
        units[arm].add(one.unit)
        for name, value in one.values.items():
            data[name][arm].add(one.unit, value)
    counts = {arm: len(found) for arm, found in units.items()}
    return analyse(arms, data, counts, row.metric, row.guardrails, row.minimal_effect, before(row))
