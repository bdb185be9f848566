"""Learned: what answers to requests like this one were like chooses the model, and a bounded share keeps looking at the others.

Inverse-gap weighting (SquareCB, https://arxiv.org/abs/2002.04926): the further a model seems behind the best, the rarer it is tried; its
probability has a closed form, so one draw decides and ``p`` is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llm_gateway.core.learning import Features, Learnt, dot, features

from . import strategies
from ._affinity import place
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._settings import choice, number, only
from ._shares import first_by_priority

MODES = ("shadow", "guarded", "active")
NUMBERS: dict[str, tuple[float, float, float]] = {
    "quality_weight": (0.0, 0.0, 1.0),
    "cost_weight": (0.1, 0.0, 1.0),
    "latency_weight": (0.05, 0.0, 1.0),
    "explore_share": (0.1, 0.0, 0.5),
    "explore_usd_per_day": (5.0, 0.0, 1_000_000.0),
    "holdout_share": (0.05, 0.0, 0.5),
}
DEFAULTS: dict[str, Any] = {
    "mode": "shadow",
    "base": "enterprise",
    "base_settings": {},
    "never_explore": [],
    **{name: default for name, (default, _, _) in NUMBERS.items()},
}
# Below so many answers of all candidates together it is the operator's order.
LEAST = 50.0
FLOOR = 0.005
Z = 1.64
_UNSEEN = Learnt()


class Learned:
    """In ``shadow`` the base strategy decides, and the record says what this one would have done. Else ``holdout_share`` of the callers
    stay with the base, so that what is saved can be measured. A conversation keeps its draw: it does not wander from its prompt cache.
    """

    name = "learned"
    title = "Learned"
    summary = "Past answers to requests like this one choose the model; begins in shadow, and keeps a share of the callers as they were."

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """``base``: the kind of strategy that decides in shadow and for the holdout, with ``base_settings``. The weights say what a point
        of success is worth: ``cost_weight`` 0.1 gives up ten points for an answer that is free. ``explore_share`` and
        ``explore_usd_per_day`` bound what looking costs; ``never_explore`` lists public ids of client keys."""
        only(settings, DEFAULTS, self.name)
        base = settings.get("base") or "enterprise"
        if base not in strategies or base == self.name:
            raise ValueError(f"base has to be another kind of strategy: {', '.join(name for name in strategies if name != self.name)}.")
        given = settings.get("base_settings") or {}
        if not isinstance(given, Mapping):
            raise ValueError("base_settings is a JSON object.")
        never = settings.get("never_explore") or []
        if not isinstance(never, list | tuple) or not all(isinstance(one, str) for one in never) or len(never) > 1000:
            raise ValueError("never_explore is a list of public ids of client keys.")
        found = {name: number(settings, name, *bounds) for name, bounds in NUMBERS.items()}
        kind = strategies.get(base)
        mode = choice(settings, "mode", MODES)
        return {"mode": mode, "base": base, "base_settings": kind.validate(given), "never_explore": list(never), **found}

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        options = {**DEFAULTS, **settings}
        base = strategies.get(options["base"]).order(candidates, facts, options["base_settings"], draw)
        if not base.order:
            return base
        fit, _ = fitting(candidates, facts)
        seen = sum((candidates[index].learnt or _UNSEEN).n for index in fit)
        if seen < LEAST:
            note = f"{base.note} Too little is learnt yet ({seen:.0f} of {LEAST:.0f} answers)."
            return Ranking(order=base.order, scores=base.scores, skipped=base.skipped, note=note.strip(), p=base.p)
        scores = _scores(candidates, fit, facts, options)
        ranked = sorted(fit, key=lambda index: (-scores[index]["utility"], candidates[index].target.provider.priority, index))
        p = _probabilities(candidates, ranked, scores, facts, options)
        first = _drawn(ranked, p, facts, draw)
        for index, share in p.items():
            scores[index]["chance"] = round(share, 5)
        if options["mode"] == "shadow":
            would = _label(candidates[first])
            note = f"{base.note} In shadow: learned would have chosen {would}, expecting {_why(scores[first])}."
            return Ranking(order=base.order, scores=tuple(scores), skipped=base.skipped, note=note.strip(), p=base.p)
        holdout = options["holdout_share"]
        p_all = tuple(holdout * (base.p[index] if base.p else 0.0) + (1 - holdout) * p.get(index, 0.0) for index in range(len(candidates)))
        if held_out(facts, holdout, draw):
            note = f"{base.note} Of the share that stays as it was."
            return Ranking(order=base.order, scores=tuple(scores), skipped=base.skipped, note=note.strip(), p=p_all if base.p else ())
        order = [first, *(index for index in ranked if index != first)]
        best = first == ranked[0]
        note = f"Chosen because it {'is expected to be best' if best else 'is worth another look'}: {_why(scores[first])}."
        return Ranking(order=tuple(order), scores=tuple(scores), skipped=base.skipped, note=note, p=p_all if base.p else ())


def held_out(facts: RequestFacts, share: float, draw: float) -> bool:
    """Whether this caller stays with the base strategy."""
    unit = facts.sticky or facts.affinity or f"draw:{draw!r}"
    return place("holdout", unit) < share


def _scores(candidates: Sequence[Candidate], fit: Sequence[int], facts: RequestFacts, options: Mapping[str, Any]) -> list[dict[str, float]]:
    x = features(facts.prompt_tokens, facts.needs, facts.task_type, facts.language, facts.stream)
    known = [candidates[index].learnt or _UNSEEN for index in fit]
    costs = _relative([_of(one.log_cost, x) for one in known])
    times = _relative([_of(one.log_latency, x) for one in known])
    successes = [_of(one.success, x) for one in known]
    qualities = [_of(one.quality, x) for one in known]
    middle = _mean(successes, 0.9)
    middle_quality = _mean(qualities, 0.0)
    scores: list[dict[str, float]] = [{} for _ in candidates]
    for index, one, cost, time, success, quality in zip(fit, known, costs, times, successes, qualities, strict=True):
        expected = min(max(middle if success is None else success, 0.0), 1.0)
        utility = expected - options["cost_weight"] * cost - options["latency_weight"] * time
        parts = {"success": round(expected, 4), "dearer": round(cost, 4), "slower": round(time, 4), "answers": round(one.n, 1)}
        if options["quality_weight"]:
            good = middle_quality if quality is None else quality
            utility += options["quality_weight"] * good
            parts["quality"] = round(good, 4)
        scores[index] = {"utility": round(utility, 5), **parts}
    return scores


def _of(coefficients: Sequence[float] | None, x: Features) -> float | None:
    return None if coefficients is None else dot(coefficients, x)


def _mean(values: Sequence[float | None], otherwise: float) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else otherwise


def _relative(logs: Sequence[float | None]) -> list[float]:
    """How much more than the least each takes: 0 for the least, 1/2 for twice that, towards 1. Unknown ones get the middle."""
    known = sorted(value for value in logs if value is not None)
    if not known:
        return [0.0] * len(logs)
    least, middle = known[0], known[len(known) // 2]
    return [1 - math.exp(least - (middle if value is None else value)) for value in logs]


def _probabilities(
    candidates: Sequence[Candidate], ranked: Sequence[int], scores: Sequence[Mapping[str, float]], facts: RequestFacts,
    options: Mapping[str, Any],
) -> dict[int, float]:  # fmt: skip
    """Of each to be tried first. Keys of one model are one arm, shared as the operator's weights say."""
    arms: dict[tuple[int, str], list[int]] = {}
    for index in ranked:
        arms.setdefault((candidates[index].target.provider.id, candidates[index].target.upstream_id), []).append(index)
    heads = [group[0] for group in arms.values()]
    best, others = heads[0], heads[1:]
    shares = dict.fromkeys(heads, 0.0)
    learnt = candidates[best].learnt or _UNSEEN
    capped = min(options["explore_share"], 0.5)
    if others and capped > 0 and learnt.may_explore and facts.client not in options["never_explore"]:
        top = scores[best]["utility"]
        answers = sum(scores[index]["answers"] for index in heads)
        sharpness = 4.0 * math.sqrt(len(heads) * answers)
        least = top - _width(scores[best]["answers"])
        for index in others:
            if scores[index]["utility"] + _width(scores[index]["answers"]) >= least:
                shares[index] = max(FLOOR, 1 / (len(heads) + sharpness * (top - scores[index]["utility"])))
        total = sum(shares.values())
        if total > capped:
            shares = {index: share * capped / total for index, share in shares.items()}
    shares[best] = 1 - sum(share for index, share in shares.items() if index != best)
    return {
        index: shares[group[0]] * part
        for group in arms.values()
        for index, part in first_by_priority(candidates, group).items()
        if shares[group[0]] * part > 0
    }


def _width(answers: float) -> float:
    """Half of what a share of successes of so many answers is uncertain by."""
    return Z * 0.5 / math.sqrt(answers + 1)


def _drawn(ranked: Sequence[int], p: Mapping[int, float], facts: RequestFacts, draw: float) -> int:
    """By the draw, or by a hash that stays the same for a conversation."""
    point = place("learned", facts.sticky, facts.affinity) if facts.affinity else draw
    last = ranked[0]
    for index in sorted(p):
        last = index
        point -= p[index]
        if point < 0:
            return index
    return last


def _label(candidate: Candidate) -> str:
    return f"{candidate.target.provider.slug}/{candidate.target.upstream_id}"


def _why(parts: Mapping[str, float]) -> str:
    return f"success {parts['success']:.0%}, {parts['dearer']:.0%} of its cost and {parts['slower']:.0%} of its time above the least"


strategies.add(Learned.name, Learned())
