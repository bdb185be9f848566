"""Performance-based: the numbers of the last minutes decide. Success first, then speed, then cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._layout import layout
from ._order import in_order
from ._schema import Number, Setting, SettingError, read
from ._shares import best_by, explored, spelled
from ._stats import certain, pick, relative

DEFAULTS: dict[str, float] = {
    "success_weight": 0.6, "latency_weight": 0.25, "cost_weight": 0.15, "quality_weight": 0.0, "exploration": 0.05,
}  # fmt: skip
# A mean of fewer scores is an anecdote: then, or where one of the candidates has fewer, quality decides nothing.
ENOUGH_SCORED = 30
_WEIGHTS = {
    "success_weight": "How much it counts that answers succeed.",
    "latency_weight": "How much it counts that answers come fast.",
    "cost_weight": "How much it counts that they are cheap.",
    "quality_weight": "How much the scores of answers count, once every candidate has enough. A computed score prefers tidy to right.",
}
# How much more often a deployment is tested whose few answers look better than the best.
PROMISING = 4


class PerformanceBased:
    """Score = weighted sum of the lower confidence bound of the success rate, relative speed and relative cheapness, and of the quality of
    its model's answers where a weight is given to it and every candidate has enough scored answers.

    The lower bound lets a proven deployment stand before an unknown one; ``exploration`` of the requests go first to one that is not the
    best, chosen by how little is known of it, so that a new or recovered deployment is found again. One whose few answers promise to be
    better than the best gets four times that share, until its numbers are as certain. Equal scores keep the operator's order.
    """

    name = "performance-based"
    title = "Performance-based"
    summary = "Measured success rate, speed and cost choose the model; a small share of requests keeps testing the others."
    schema: tuple[Setting, ...] = (
        *(Number(name, DEFAULTS[name], 0, 1, text, "relative to the others") for name, text in _WEIGHTS.items()),
        Number(
            "exploration", DEFAULTS["exploration"], 0, 0.5, "So many requests go first to one that is not the best, to see how it does.",
            "share of requests",
        ),
    )  # fmt: skip

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The ``*_weight`` are relative to each other (0 to 1; quality alone decides nothing); ``exploration`` is a share of requests, 0 to
        0.5. ``quality_weight`` is 0 until set: a computed score sees defects, and prefers tidy to right."""
        found = read(self.schema, settings, self.name)
        if not any(found[name] for name in DEFAULTS if name not in ("exploration", "quality_weight")):
            raise SettingError("success_weight", "At least one of success_weight, latency_weight and cost_weight has to be above 0.")
        return found

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        options = {**DEFAULTS, **settings}
        scores = _scores(candidates, fit, facts, options)
        laid = layout(candidates, fit)
        behind = {index: -scores[index]["score"] for index in fit}
        # Sorting keeps the operator's order between equals.
        order = sorted(in_order(laid, facts, draw), key=behind.__getitem__)
        note = "Ordered by measured success, speed and cost."
        best = best_by(laid, fit, behind.__getitem__)
        pools = _pools(order, scores, options["exploration"])
        p = spelled(explored(best, pools), len(scores))
        tested = _tested(order, pools, draw)
        if tested is not None:
            order.remove(tested)
            order.insert(0, tested)
            note = "One of the few requests that test a model which is not the best at present."
        return Ranking(order=tuple(order), scores=tuple(scores), skipped=skipped, note=note, p=p)


def _tested(order: Sequence[int], pools: Sequence[tuple[float, Mapping[int, float]]], draw: float) -> int | None:
    start = 0.0
    for share, weights in pools:
        others = [index for index in weights if index != order[0]]
        if others and draw < start + share:
            return others[pick([weights[index] for index in others], (draw - start) / share)]
        start += share if others else 0.0
    return None


def _pools(order: Sequence[int], scores: Sequence[Mapping[str, float]], exploration: float) -> list[tuple[float, dict[int, float]]]:
    """The (share of requests, who gets it by what weight) that goes to others than the best, side by side from 0."""
    if len(order) < 2 or exploration <= 0:
        return []
    top = scores[order[0]]["score"]
    pools = [(exploration, {index: scores[index]["uncertainty"] for index in order})]
    more = min(exploration * PROMISING, 0.5) - exploration
    promising = [index for index in order if scores[index]["promise"] > top and scores[index]["requests"]]
    if promising and more > 0:
        pools.append((more, {index: scores[index]["uncertainty"] for index in promising}))
    return pools


def _scores(
    candidates: Sequence[Candidate], fit: Sequence[int], facts: RequestFacts, options: Mapping[str, float]
) -> list[dict[str, float]]:
    stats = [candidates[index].stats for index in fit]
    speeds = relative([s.ttft_ms if facts.stream and s.ttft_ms is not None else s.latency_ms for s in stats])
    # What requests like this one cost at most here, else what requests did cost on the average.
    costs = relative([_cost(candidates[index]) for index in fit])
    known = options["quality_weight"] > 0 and all(s.quality is not None and s.scored >= ENOUGH_SCORED for s in stats)
    weight = options["quality_weight"] if known else 0.0
    for_success, for_speed, for_cost = options["success_weight"], options["latency_weight"], options["cost_weight"]
    total = for_success + for_speed + for_cost + weight
    scores: list[dict[str, float]] = [{} for _ in candidates]
    # Rounding by whole numbers takes a third of the time of round(); nothing here is below 0.
    for index, seen, speed, cost in zip(fit, stats, speeds, costs, strict=True):
        low, shown, uncertainty, rate = certain(seen.requests, seen.successes)
        rest = for_speed * speed + for_cost * cost
        if weight and seen.quality is not None:
            rest += weight * seen.quality
        scores[index] = {
            "score": int((for_success * low + rest) / total * 1e6 + 0.5) / 1e6,
            "success_low": shown,
            "speed": int(speed * 1e4 + 0.5) / 1e4,
            "cheapness": int(cost * 1e4 + 0.5) / 1e4,
            "uncertainty": uncertainty,
            "requests": seen.requests,
            "promise": int((for_success * rate + rest) / total * 1e6 + 0.5) / 1e6,
        }
        if weight and seen.quality is not None:
            scores[index]["quality"] = round(seen.quality, 4)
    return scores


def _cost(candidate: Candidate) -> float | None:
    return candidate.estimate_nusd if candidate.estimate_nusd is not None else candidate.stats.cost_nusd


strategies.add(PerformanceBased.name, PerformanceBased())
