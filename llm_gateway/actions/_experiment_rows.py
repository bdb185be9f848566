"""Rows of the log as values of an experiment's metrics, by unit: during the experiment, and before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Avg, QuerySet

from llm_gateway.models import AnswerScore, Experiment, ExperimentHistory, Feedback, RequestLog
from llm_gateway.policies.experiments import METRICS
from llm_gateway.scorers import FORMULA
from llm_gateway.strategies import Choice, read_choice
from llm_gateway.strategies.ab_testing import unit_of

from .measure_learned import TAUGHT_BY

# What the gateway or its providers did; a caller who left says nothing of an arm.
COUNTED = ("ok", "partial", "failed")
CEILING = 0.995
BEFORE = timedelta(days=14)
# Of so many units what they did before is kept; which ones hangs on their digests, and so on nothing that arms could know.
MOST_UNITS = 50_000
_PIECE = 1000
_FIELDS = ("id", "created_at", "client_key__public_id", "stream", "choice", "state", "cost_nusd", "latency_ms")


class Row(msgspec.Struct, frozen=True):
    """One request: whose it is, how it was decided, and its value by metric; a metric of which nothing is known is not in it."""

    unit: str
    choice: Choice
    values: dict[str, float]


def metrics_of(row: Experiment) -> list[str]:
    return list(dict.fromkeys((row.metric, *row.guardrails)))


def during(row: Experiment) -> Iterator[Row]:
    """Of everybody who has a unit, since the start."""
    rows = RequestLog.objects.filter(TAUGHT_BY, policy=row.version, created_at__gte=row.started_at)
    if row.stopped_at is not None:
        rows = rows.filter(created_at__lt=row.stopped_at)
    return _read(rows, row.unit, metrics_of(row))


def dealt(row: Experiment, by: Any, wanted: Sequence[str], most: int) -> Iterator[Row]:
    """The newest ``most`` since the start, as the strategy's own ``sticky`` deals: whoever it is drawn for alone is a unit by itself."""
    rows = RequestLog.objects.filter(policy=row.version, created_at__gte=row.started_at, state__in=COUNTED).exclude(choice=None)
    oldest = rows.order_by("-id").values_list("pk", flat=True)[most - 1 : most].first()
    return _read(rows if oldest is None else rows.filter(pk__gte=oldest), by, wanted, alone=True)


def before(row: Experiment) -> Mapping[str, Mapping[str, Sequence[float]]]:
    """By metric and unit the sum of its values in the 14 days before, and how many there were. Read once: that time does not change."""
    found = ExperimentHistory.objects.filter(pk=row.pk).first()
    if found is None:
        if row.started_at is None:
            return {}
        since = row.started_at - BEFORE
        earlier = RequestLog.objects.filter(TAUGHT_BY, created_at__gte=since, created_at__lt=row.started_at, simulated=False, batch_id=None)
        sums: dict[str, dict[str, list[float]]] = {name: {} for name in metrics_of(row)}
        for one in _read(earlier, row.unit, metrics_of(row)):
            for name, value in one.values.items():
                known = sums[name].get(one.unit)
                if known is None:
                    known = sums[name].setdefault(one.unit, [0.0, 0.0])
                known[0] += value
                known[1] += 1
        kept = {name: dict(islice(sorted(units.items()), MOST_UNITS)) for name, units in sums.items()}
        found, _ = ExperimentHistory.objects.get_or_create(experiment=row, defaults={"units": kept})
    units: Mapping[str, Mapping[str, Sequence[float]]] = found.units
    return units


def _read(rows: QuerySet[RequestLog], unit_kind: Any, wanted: Sequence[str], *, alone: bool = False) -> Iterator[Row]:
    rows = rows.filter(state__in=COUNTED).exclude(choice=None)
    ceilings = {name: _ceiling(rows, name) for name in wanted if METRICS[name].tailed}
    streamed = iter(rows.order_by("id").values_list(*_FIELDS).iterator(chunk_size=_PIECE))
    while piece := list(islice(streamed, _PIECE)):
        said = {name: _SAID[name]([one[0] for one in piece]) for name in wanted if name in _SAID}
        for pk, moment, client, stream, text, state, cost, latency in piece:
            try:
                choice = read_choice(text)
            except ValueError:
                continue
            unit = unit_of(choice.facts(moment, client or "", stream), unit_kind)
            if not unit and alone:
                unit = f"request {pk}"
            if not unit:
                continue  # nobody whom it could stay with: drawn alone, and not in the experiment
            values: dict[str, float] = {}
            for name in wanted:
                value = said[name].get(pk) if name in said else _value(name, state, cost, latency)
                if value is not None:
                    values[name] = min(value, ceilings[name]) if name in ceilings else value
            yield Row(unit, choice, values)


def _value(metric: str, state: str, cost: int | None, latency: int | None) -> float | None:
    match metric:
        case "success":
            return float(state == "ok")
        case "cost":
            return None if cost is None else cost / 1e9
        case _:
            return float(latency) if state == "ok" and latency is not None else None


def _scores(ids: Sequence[UUID]) -> dict[UUID, float]:
    """Of answers whose code was looked at: what is known of the structure alone does not compare with them."""
    rows = AnswerScore.objects.filter(request_id__in=ids, formula=FORMULA, coded=True, score__isnull=False)
    return {pk: float(score) for pk, score in rows.values_list("request_id", "score") if score is not None}


def _feedback(ids: Sequence[UUID]) -> dict[UUID, float]:
    rows = Feedback.objects.filter(request_id__in=ids).order_by().values_list("request_id").annotate(mean=Avg("score"))
    return dict(rows)


_SAID = {"quality": _scores, "feedback": _feedback}


def _ceiling(rows: QuerySet[RequestLog], metric: str) -> float:
    """The pooled p99.5 of the values so far."""
    column = "cost_nusd" if metric == "cost" else "latency_ms"
    known = rows.exclude(**{column: None}).order_by(column)
    count = known.count()
    if not count:
        return float("inf")
    found = float(known.values_list(column, flat=True)[min(count - 1, int(count * CEILING))])
    return found / 1e9 if metric == "cost" else found


__all__ = ["BEFORE", "Row", "before", "during", "metrics_of"]
