"""What a policy would have achieved, estimated from what another one did, and whether that can be said at all.

Each row carries the weight of its action (probability under the new policy over probability under the old) and its reward. Two
estimators (https://arxiv.org/abs/1103.4601 doubly robust; self-normalised importance sampling): the second is shown beside the first, and
intervals are of the first, over units whose rows belong together. Pure.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

LEAST_EFFECTIVE = 200.0
LARGEST_WEIGHT = 0.05
# So much of what the new policy would do may never have been tried by the old one.
UNSEEN = 0.01
Z = 1.96
CANNOT = "This cannot be estimated from this log; run an experiment."


class Logged(msgspec.Struct, frozen=True):
    """One decision. ``unit``: rows of one are not independent. ``action``: what stood first then, with its probability ``p``. ``new``: the
    new policy's probabilities by action; ``seen``: the actions that could have stood first then. ``reward`` is ``None`` while unknown."""

    unit: str
    action: str
    p: float
    reward: float | None
    new: Mapping[str, float]
    seen: frozenset[str]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """``value`` with its 95 % interval (doubly robust), ``snips`` beside it, ``then``: the mean of what happened. All ``None`` with ``why``
    where the log cannot tell."""

    why: str = ""
    rows: int = 0
    effective: float = 0.0
    largest: float = 0.0
    unseen: float = 0.0
    then: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    snips: float | None = None


def estimate(rows: Sequence[Logged]) -> Estimate:
    """Of the reward's mean under the new policy."""
    usable = [row for row in rows if row.reward is not None and row.p > 0]
    n = len(usable)
    if not n:
        return Estimate(why=f"{CANNOT} No row has a probability and a result.")
    weights = [row.new.get(row.action, 0.0) / row.p for row in usable]
    unseen = sum(share for row in usable for action, share in row.new.items() if action not in row.seen) / n
    of_units: dict[str, float] = defaultdict(float)
    sizes: dict[str, int] = defaultdict(int)
    for row, weight in zip(usable, weights, strict=True):
        of_units[row.unit] += weight
        sizes[row.unit] += 1
    total = sum(weights)
    squares = sum(weight * weight for weight in of_units.values())
    effective = total * total / squares if squares else 0.0
    largest = max(of_units.values()) / total if total else 1.0
    base = Estimate(rows=n, effective=round(effective, 1), largest=round(largest, 4), unseen=round(unseen, 4))
    why = _why_not(effective, largest, unseen)
    if why:
        return msgspec.structs.replace(base, why=why)
    rewards = [row.reward or 0.0 for row in usable]
    means = _means(usable, rewards)
    everyone = sum(rewards) / n
    parts = []
    for row, weight, reward in zip(usable, weights, rewards, strict=True):
        model = sum(share * means.get(action, everyone) for action, share in row.new.items())
        parts.append(model + weight * (reward - means.get(row.action, everyone)))
    value = sum(parts) / n
    margin = Z * _clustered_error([row.unit for row in usable], parts, value)
    return msgspec.structs.replace(
        base,
        then=everyone,
        value=value,
        low=value - margin,
        high=value + margin,
        snips=sum(weight * reward for weight, reward in zip(weights, rewards, strict=True)) / total,
    )


def _why_not(effective: float, largest: float, unseen: float) -> str:
    if unseen > UNSEEN:
        return f"{CANNOT} {unseen:.0%} of what this policy would do was never done while the log was written."
    if effective < LEAST_EFFECTIVE:
        return f"{CANNOT} The rows that bear on it are worth {effective:.0f} independent ones; {LEAST_EFFECTIVE:.0f} are needed."
    if largest > LARGEST_WEIGHT:
        return f"{CANNOT} One caller would decide {largest:.0%} of the result."
    return ""


def _means(rows: Sequence[Logged], rewards: Sequence[float]) -> dict[str, float]:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row, reward in zip(rows, rewards, strict=True):
        sums[row.action][0] += reward
        sums[row.action][1] += 1
    return {action: total / count for action, (total, count) in sums.items()}


def _clustered_error(units: Sequence[str], parts: Sequence[float], value: float) -> float:
    sums: dict[str, float] = defaultdict(float)
    for unit, part in zip(units, parts, strict=True):
        sums[unit] += part - value
    count = len(sums)
    if count < 2:
        return math.inf
    return math.sqrt(sum(one * one for one in sums.values()) * count / (count - 1)) / len(parts)
