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
from ._base import Candidate, Ranking, RequestFacts, Strategy
from ._fit import fitting
from ._layout import layout
from ._schema import Kind, Names, Number, OneOf, Setting, SettingError, read
from ._shares import spelled

MODES = (
    ("shadow", "shadow: it only says what it would have done"),
    ("guarded", "guarded: it decides, and is taken back when it does worse"),
    ("active", "active: it decides"),
)
_MEANS = {
    "quality_weight": ("What a point of the answers' scores is worth.", "points of success"),
    "cost_weight": ("What it gives up for an answer that is free: 0.1 is ten points of success.", "points of success"),
    "latency_weight": ("What it gives up for an answer that comes at once.", "points of success"),
    "explore_share": ("So many requests may go to a model that does not seem best.", "share of requests"),
    "explore_usd_per_day": ("What that may cost.", "USD a day"),
    "holdout_share": ("So many callers stay with the base strategy, so that what is saved can be measured.", "share of callers"),
}
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
# A mean of fewer scores is an anecdote, and routes nothing.
ENOUGH_SCORED = 30.0
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
    schema: tuple[Setting, ...] = (
        OneOf("mode", MODES, "Whether it decides yet."),
        Kind("base", "enterprise", "base_settings", "Who decides in shadow, and for the callers who stay as they were."),
        *(Number(name, *bounds, *_MEANS[name]) for name, bounds in NUMBERS.items()),
        Names("never_explore", "Client keys (public ids) whose requests always go to the best.", "client keys"),
    )

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """``base``: the kind of strategy that decides in shadow and for the holdout, with ``base_settings``. The weights say what a point
        of success is worth: ``cost_weight`` 0.1 gives up ten points for an answer that is free. ``explore_share`` and
        ``explore_usd_per_day`` bound what looking costs; ``never_explore`` lists public ids of client keys."""
        found = read(self.schema, {name: value for name, value in settings.items() if name != "base_settings"}, self.name)
        base = found["base"]
        if base not in strategies or base == self.name:
            raise SettingError(
                "base", f"base has to be another kind of strategy: {', '.join(name for name in strategies if name != self.name)}."
            )
        given = settings.get("base_settings") or {}
        if not isinstance(given, Mapping):
            raise SettingError("base_settings", "base_settings is a JSON object.")
        try:
            inner = strategies.get(base).validate(given)
        except SettingError as error:
            raise SettingError(f"base_settings.{error.setting}", str(error)) from None
        return {**DEFAULTS, **found, "base_settings": inner}

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        options = {**DEFAULTS, **settings}
        kind = strategies.get(options["base"])
        fit, skipped = fitting(candidates, facts)
        seen = sum([(candidates[index].learnt or _UNSEEN).n for index in fit])
        if not fit or seen < LEAST:
            base = kind.order(candidates, facts, options["base_settings"], draw)
            if not fit:
                return base
            note = f"{base.note} Too little is learnt yet ({seen:.0f} of {LEAST:.0f} answers)."
            return Ranking(order=base.order, scores=base.scores, skipped=base.skipped, note=note.strip(), p=base.p)
        scores = _scores(candidates, fit, facts, options)
        ranked = [
            index
            for _, _, index in sorted([(-scores[index]["utility"], candidates[index].target.provider.priority, index) for index in fit])
        ]
        p = _probabilities(candidates, ranked, scores, facts, options)
        first = _drawn(ranked, p, facts, draw)
        for index, share in p.items():
            scores[index]["chance"] = int(share * 1e5 + 0.5) / 1e5
        holdout = options["holdout_share"]
        if options["mode"] == "shadow":
            base = kind.order(candidates, facts, options["base_settings"], draw)
            would = _label(candidates[first])
            note = f"{base.note} In shadow: learned would have chosen {would}, expecting {_why(scores[first])}."
            return Ranking(order=base.order, scores=tuple(scores), skipped=base.skipped, note=note.strip(), p=base.p)
        if held_out(facts, holdout, draw):
            base = kind.order(candidates, facts, options["base_settings"], draw)
            p_all = _mixed(holdout, base.p, p)
            note = f"{base.note} Of the share that stays as it was."
            return Ranking(order=base.order, scores=tuple(scores), skipped=base.skipped, note=note.strip(), p=p_all)
        p_all = _mixed(holdout, _chances(kind, candidates, fit, facts, options["base_settings"]), p) if holdout else spelled(p, len(scores))
        order = [first, *[index for index in ranked if index != first]]
        best = first == ranked[0]
        note = f"Chosen because it {'is expected to be best' if best else 'is worth another look'}: {_why(scores[first])}."
        return Ranking(order=tuple(order), scores=tuple(scores), skipped=skipped, note=note, p=p_all)


def _chances(
    kind: Strategy, candidates: Sequence[Candidate], fit: Sequence[int], facts: RequestFacts, settings: Mapping[str, Any]
) -> tuple[float, ...]:
    """With what probability each would stand first for the base. Where that hangs on nothing measured it is asked once per catalogue."""
    if not getattr(kind, "settled", False):
        return kind.order(candidates, facts, settings, 0.5).p
    laid = layout(candidates, fit)
    known = laid.notes.get(("base", kind.name))
    if known is None or known[0] is not settings:
        known = laid.note(("base", kind.name), (settings, kind.order(candidates, facts, settings, 0.5).p))
    found: tuple[float, ...] = known[1]
    return found


def _mixed(holdout: float, base: Sequence[float], p: Mapping[int, float]) -> tuple[float, ...]:
    """Empty where the base gives none."""
    return tuple([holdout * share + (1 - holdout) * p.get(index, 0.0) for index, share in enumerate(base)])


def held_out(facts: RequestFacts, share: float, draw: float) -> bool:
    """Whether this caller stays with the base strategy."""
    unit = facts.sticky or facts.affinity or f"draw:{draw!r}"
    return place("holdout", unit) < share


def _scores(candidates: Sequence[Candidate], fit: Sequence[int], facts: RequestFacts, options: Mapping[str, Any]) -> list[dict[str, float]]:
    x = features(facts.prompt_tokens, facts.needs, facts.task_type, facts.language, facts.stream)
    known = [candidates[index].learnt or _UNSEEN for index in fit]
    successes, logs_cost, logs_time = _each(known, x)
    costs, times = _relative(logs_cost), _relative(logs_time)
    middle = _mean(successes, 0.9)
    weigh_quality, weigh_cost, weigh_time = options["quality_weight"], options["cost_weight"], options["latency_weight"]
    # What is unknown, or known of a few answers only, is no bad mark: it counts as the mean of the others.
    qualities = [_of(one.quality, x) if one.scored >= ENOUGH_SCORED else None for one in known] if weigh_quality else successes
    middle_quality = _mean(qualities, 0.0)
    scores: list[dict[str, float]] = [{} for _ in candidates]
    for index, one, cost, time, success, quality in zip(fit, known, costs, times, successes, qualities, strict=True):
        expected = middle if success is None else success
        expected = 0.0 if expected < 0 else 1.0 if expected > 1 else expected
        utility = expected - weigh_cost * cost - weigh_time * time
        # Rounding by whole numbers takes a third of the time of round().
        parts = {
            "utility": 0.0,
            "success": int(expected * 1e4 + 0.5) / 1e4,
            "dearer": int(cost * 1e4 + 0.5) / 1e4,
            "slower": int(time * 1e4 + 0.5) / 1e4,
            "answers": int(one.n * 10 + 0.5) / 10,
            "chance": 0.0,
        }
        if weigh_quality:
            good = min(max(middle_quality if quality is None else quality, 0.0), 1.0)
            utility += weigh_quality * good
            parts["quality"] = round(good, 4)
        parts["utility"] = math.floor(utility * 1e5 + 0.5) / 1e5
        scores[index] = parts
    return scores


def _each(known: Sequence[Learnt], x: Features) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """Success, log cost and log latency of each. One walk over the features for all three: this is asked with every request."""
    (_, one), (_, size), *rest = x
    marks = [(at, value) for at, value in rest if value != 1]
    plain = [at for at, value in rest if value == 1]
    successes: list[float | None] = []
    costs: list[float | None] = []
    times: list[float | None] = []
    for learnt in known:
        a, b, c = learnt.success, learnt.log_cost, learnt.log_latency
        if marks or a is None or b is None or c is None:
            successes.append(_of(a, x))
            costs.append(_of(b, x))
            times.append(_of(c, x))
            continue
        success, cost, time = a[0] * one + a[1] * size, b[0] * one + b[1] * size, c[0] * one + c[1] * size
        for at in plain:
            success += a[at]
            cost += b[at]
            time += c[at]
        successes.append(success)
        costs.append(cost)
        times.append(time)
    return successes, costs, times


def _of(coefficients: Sequence[float] | None, x: Features) -> float | None:
    return None if coefficients is None else dot(coefficients, x)


def _mean(values: Sequence[float | None], otherwise: float) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else otherwise


def _relative(logs: Sequence[float | None]) -> list[float]:
    """How much more than the least each takes: 0 for the least, 1/2 for twice that, towards 1. Unknown ones get the middle."""
    known = sorted([value for value in logs if value is not None])
    if not known:
        return [0.0] * len(logs)
    least, middle = known[0], known[len(known) // 2]
    exp = math.exp
    return [0.0 if value == least else 1 - exp(least - (middle if value is None else value)) for value in logs]


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
        # Half of what a share of successes of so many answers is uncertain by.
        half, sqrt = Z * 0.5, math.sqrt
        least = top - half / sqrt(scores[best]["answers"] + 1)
        for index in others:
            behind = top - scores[index]["utility"]
            if top - behind + half / sqrt(scores[index]["answers"] + 1) >= least:
                share = 1 / (len(heads) + sharpness * behind)
                shares[index] = share if share > FLOOR else FLOOR
        total = sum(shares.values())
        if total > capped:
            shares = {index: share * capped / total for index, share in shares.items()}
    shares[best] = 1 - sum(share for index, share in shares.items() if index != best)
    found: dict[int, float] = {}
    for group in arms.values():
        share = shares[group[0]]
        if share <= 0:
            continue
        if len(group) == 1:
            found[group[0]] = share
            continue
        for index, part in layout(candidates, ranked).first_of(group).items():
            if part > 0:
                found[index] = share * part
    return found


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
    quality = f"quality {parts['quality']:.0%}, " if "quality" in parts else ""
    return (
        f"success {parts['success']:.0%}, {quality}{parts['dearer']:.0%} of its cost and {parts['slower']:.0%} of its time above the least"
    )


strategies.add(Learned.name, Learned())
