"""Lowest latency: the fastest answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._layout import layout
from ._order import in_order
from ._schema import Number, OneOf, Setting, read
from ._shares import best_by, explored, spelled
from ._stats import pick, shrunk_rate

DEFAULTS: dict[str, Any] = {"metric": "auto", "tolerance": 0.1, "exploration": 0.05}


class LowestLatency:
    """Orders by expected time: what was measured, divided by the chance of success, for a fast failure is no fast answer.

    Deployments within ``tolerance`` of the fastest count as equally fast and keep the operator's order and prompt-cache affinity.
    Unmeasured ones follow, and are tried first by ``exploration`` of the requests.
    """

    name = "lowest-latency"
    title = "Lowest latency"
    summary = "The model that answered fastest in the last minutes answers again."
    schema: tuple[Setting, ...] = (
        OneOf(
            "metric",
            (
                ("auto", "first token for streams, else the whole answer"),
                ("ttft", "time to the first token"),
                ("latency", "time to the whole answer"),
            ),
            "Which time counts.",
        ),
        Number(
            "tolerance", DEFAULTS["tolerance"], 0, 1, "Who is slower than the fastest by no more than this counts as equally fast.",
            "share of its time",
        ),
        Number(
            "exploration", DEFAULTS["exploration"], 0, 0.5, "So many requests go first to a model whose speed nobody has measured.",
            "share of requests",
        ),
    )  # fmt: skip

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """``metric``: time to the first token, to the whole answer, or ``auto``: the first for streams, the second for the rest."""
        return read(self.schema, settings, self.name)

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        options = {**DEFAULTS, **settings}
        metric = options["metric"] if options["metric"] != "auto" else "ttft" if facts.stream else "latency"
        times = {index: _expected_ms(candidates[index], metric) for index in fit}
        known = [time for time in times.values() if time is not None]
        limit = min(known) * (1 + options["tolerance"]) if known else 0.0
        laid = layout(candidates, fit)
        speed = {index: (time is None, 0.0 if time is None or time <= limit else time) for index, time in times.items()}
        # Sorting keeps the operator's order between equals.
        order = sorted(in_order(laid, facts, draw), key=speed.__getitem__)
        untried = {index: 1.0 for index, time in times.items() if time is None}
        best = best_by(laid, fit, speed.__getitem__)
        p = spelled(explored(best, [(options["exploration"], untried)]) if untried else best, len(candidates))
        note = f"Ordered by expected {metric}."
        unknown = [index for index in order[1:] if times[index] is None]
        if unknown and draw < options["exploration"]:
            first = unknown[pick([1.0] * len(unknown), draw / options["exploration"])]
            order.remove(first)
            order.insert(0, first)
            note = "One of the few requests that measure a model of unknown speed."
        scores = tuple({"expected_ms": _rounded(times.get(index)), "metric": metric} for index in range(len(candidates)))
        return Ranking(order=tuple(order), scores=scores, skipped=skipped, note=note, p=p)


def _expected_ms(candidate: Candidate, metric: str) -> float | None:
    stats = candidate.stats
    time = stats.ttft_ms if metric == "ttft" else stats.latency_ms
    return None if time is None else time / shrunk_rate(stats)


def _rounded(time: float | None) -> float | None:
    return None if time is None else round(time, 1)


strategies.add(LowestLatency.name, LowestLatency())
