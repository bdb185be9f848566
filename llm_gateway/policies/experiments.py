"""What an experiment says so far: means of units, intervals that survive looking every minute, and one plain verdict. Pure.

Units are what was assigned; a unit's rows are not independent, so a mean over rows has the error of a ratio of sums over units (delta
method). Intervals are sequences of :mod:`.evidence`, Holm over arms and metrics; shares are checked before anything is believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .cuped import Cut, Units, cut
from .evidence import ALPHA, SRM_ALPHA, always_valid_p, holm, mismatch, radius

LEAST_UNITS = 50
ONE_UNIT = 0.5


class Metric(msgspec.Struct, frozen=True):
    """``better``: 1 when more is better, -1 when less is. ``tailed``: values above the pooled p99.5 count as that."""

    name: str
    better: int
    unit: str
    tailed: bool = False


METRICS: Mapping[str, Metric] = {
    "success": Metric("success", 1, "share of requests"),
    "cost": Metric("cost", -1, "USD per request", True),
    "latency": Metric("latency", -1, "ms per answer", True),
    "quality": Metric("quality", 1, "points of 100 per scored answer"),
    "feedback": Metric("feedback", 1, "from −1 to 1 per answer that callers spoke of"),
}


class Arm:
    """Of one arm and metric: per unit the sum of the values and how many there were."""

    __slots__ = ("units",)

    def __init__(self) -> None:
        self.units: dict[str, list[float]] = {}

    def add(self, unit: str, value: float) -> None:
        sums = self.units.setdefault(unit, [0.0, 0.0])
        sums[0] += value
        sums[1] += 1

    @property
    def rows(self) -> float:
        return sum(count for _, count in self.units.values())

    def mean(self) -> float | None:
        rows = self.rows
        return sum(total for total, _ in self.units.values()) / rows if rows else None

    def error(self) -> float:
        """The standard error of the mean."""
        n = len(self.units)
        mean = self.mean()
        if n < 2 or mean is None:
            return math.inf
        per_unit = self.rows / n
        spread = sum((total - mean * count) ** 2 for total, count in self.units.values()) / (n - 1)
        return math.sqrt(spread / n) / per_unit


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """``other`` minus the first arm, with what is between ``low`` and ``high`` at every look."""

    metric: str
    arm: str
    difference: float | None
    low: float | None
    high: float | None
    p: float = 1.0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """``verdict``: collecting, better, worse, equivalent, invalid. ``narrowed``: by metric, the share that intervals are shorter by because
    of what units did before the experiment."""

    verdict: str
    sentence: str
    arms: list[dict[str, Any]]
    compared: list[Compared]
    srm: float
    warnings: list[str]
    narrowed: dict[str, float] = msgspec.field(default_factory=dict)


def analyse(
    arms: Mapping[str, float], data: Mapping[str, Mapping[str, Arm]], assigned: Mapping[str, int], metric: str,
    guardrails: Sequence[str], minimal_effect: float | None, before: Mapping[str, Units] | None = None,
) -> Told:  # fmt: skip
    """``arms``: names and weights, the first is the one to beat. ``data``: by metric and arm. ``assigned``: units by arm. ``before``: by
    metric, what units did before they were assigned."""
    names = list(arms)
    counts = [assigned.get(name, 0) for name in names]
    srm = mismatch(counts, [arms[name] for name in names])
    shown = [_shown(name, data, assigned) for name in names]
    warnings = [
        f"One unit has {share:.0%} of the requests of {name}."
        for name in names
        if (share := _largest(data[metric].get(name))) > ONE_UNIT and assigned.get(name, 0) > 1
    ]
    told: dict[str, Any] = {"arms": shown, "srm": srm, "warnings": warnings}
    idle = [name for name, count in zip(names, counts, strict=True) if not count]
    if sum(counts) >= LEAST_UNITS and idle:
        return Told(verdict="invalid", sentence=f"{', '.join(idle)} got nobody: has it a key that works?", compared=[], **told)
    if srm < SRM_ALPHA and min(counts) > 0:
        sentence = "The arms do not get their shares of the callers, so nothing can be compared: look for what keeps some of them out."
        return Told(verdict="invalid", sentence=sentence, compared=[], **told)
    wanted = [metric, *(name for name in guardrails if name != metric)]
    pairs = [(name, arm) for name in wanted for arm in names[1:]]
    cuts = {name: _cut(data[name], (before or {}).get(name)) for name in wanted}
    told["narrowed"] = {name: round(1 - math.sqrt(1 - one.explained), 4) for name, one in cuts.items() if one is not None}
    raw = [_distance(data[name], names[0], arm, cuts[name]) for name, arm in pairs]
    levels = holm([1.0 if one is None else always_valid_p(one[1], one[2], one[0]) for one in raw])
    compared = [
        _compared(name, arm, one, max(level, ALPHA / len(pairs))) for (name, arm), one, level in zip(pairs, raw, levels, strict=True)
    ]
    verdict, sentence = _verdict(names, compared, metric, minimal_effect, counts)
    return Told(verdict=verdict, sentence=sentence, compared=compared, **told)


def _shown(name: str, data: Mapping[str, Mapping[str, Arm]], assigned: Mapping[str, int]) -> dict[str, Any]:
    means = {metric: arms[name].mean() for metric, arms in data.items() if name in arms}
    rows = max((arms[name].rows for arms in data.values() if name in arms), default=0)
    return {"arm": name, "units": assigned.get(name, 0), "requests": int(rows), "means": means}


def _largest(arm: Arm | None) -> float:
    return max((count for _, count in arm.units.values()), default=0) / arm.rows if arm is not None and arm.rows else 0.0


def _cut(arms: Mapping[str, Arm], before: Units | None) -> Cut | None:
    return cut({name: arm.units for name, arm in arms.items()}, before) if before else None


def _distance(arms: Mapping[str, Arm], one: str, other: str, less: Cut | None) -> tuple[float, float, float] | None:
    """(difference, its error, units that it rests on); ``None`` while it rests on too few, or nothing varies."""
    a, b = arms.get(one), arms.get(other)
    if a is None or b is None or min(len(a.units), len(b.units)) < LEAST_UNITS:
        return None
    if max(_largest(a), _largest(b)) > ONE_UNIT:
        return None  # what it does is no sample of what units do
    mean_a, mean_b = a.mean(), b.mean()
    error = math.sqrt(a.error() ** 2 + b.error() ** 2)
    if less is not None and mean_a is not None:
        mean_a, mean_b = less.arms[one].mean, less.arms[other].mean
        error = math.sqrt(less.arms[one].error ** 2 + less.arms[other].error ** 2)
    if mean_a is None or mean_b is None or error == 0 or math.isinf(error):
        return None
    return mean_b - mean_a, error, 2 * len(a.units) * len(b.units) / (len(a.units) + len(b.units))


def _compared(metric: str, arm: str, one: tuple[float, float, float] | None, alpha: float) -> Compared:
    if one is None:
        return Compared(metric=metric, arm=arm, difference=None, low=None, high=None)
    margin = radius(one[1], one[2], min(alpha, ALPHA))
    return Compared(
        metric=metric, arm=arm, difference=one[0], low=one[0] - margin, high=one[0] + margin, p=always_valid_p(one[1], one[2], one[0])
    )


def _verdict(
    names: Sequence[str], compared: Sequence[Compared], metric: str, minimal_effect: float | None, counts: Sequence[int]
) -> tuple[str, str]:
    main = [one for one in compared if one.metric == metric]
    known = [one for one in main if one.low is not None and one.high is not None]
    if not known:
        few = min(counts) < LEAST_UNITS
        why = f"{min(counts)} of at least {LEAST_UNITS} units per arm" if few else "nothing varies, or one unit has most requests"
        return "collecting", f"Too little is known: {why}."
    harmed = [one for one in compared if one.metric != metric and _sides(one)[1]]
    better = [one for one in known if _sides(one)[0]]
    if better and not harmed:
        best = max(better, key=lambda one: METRICS[metric].better * (one.difference or 0))
        return "better", f"{best.arm} is better than {names[0]}: {_said(best)}."
    if better and harmed:
        return "worse", f"{better[0].arm} has the better {metric}, but its {harmed[0].metric} is worse: {_said(harmed[0])}."
    if all(_sides(one)[1] for one in main):
        return "worse", f"{names[0]} is better than the other{'s' if len(main) > 1 else ''}: {_said(known[0])}."
    if minimal_effect and len(known) == len(main) and all(_within(one, minimal_effect) for one in known):
        return "equivalent", f"No difference that matters: {_said(known[0])}, and {minimal_effect:g} would be one."
    return "collecting", f"Nothing is certain yet: {_said(known[0])}."


def _sides(one: Compared) -> tuple[bool, bool]:
    """(surely better, surely worse)"""
    if one.low is None or one.high is None:
        return False, False
    up, down = one.low > 0, one.high < 0
    return (up, down) if METRICS[one.metric].better > 0 else (down, up)


def _within(one: Compared, effect: float) -> bool:
    return one.low is not None and one.high is not None and one.low > -effect and one.high < effect


def _said(one: Compared) -> str:
    spell = "{:+.1%}".format if one.metric == "success" else "{:+.4g}".format
    unit = "" if one.metric == "success" else f" {METRICS[one.metric].unit}"
    return f"{one.metric} {spell(one.difference)}{unit} (between {spell(one.low)} and {spell(one.high)})"
