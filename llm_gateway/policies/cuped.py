"""What units did before an experiment, taken out of what they do in it: shorter intervals, the same truth. Pure.

CUPED (Deng et al. 2013, https://doi.org/10.1145/2433396.2433413). A unit's covariate is from before anybody was assigned, so it says
nothing of the arms, and taking ``theta`` times it away moves no arm's mean but by chance. ``theta`` is of all arms together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

# With fewer units of which anything is known from before, the covariate is left alone.
LEAST_KNOWN = 50

# Per unit the sum of the values and how many there were.
Units = Mapping[str, Sequence[float]]


class Adjusted(msgspec.Struct, frozen=True, kw_only=True):
    """Of one arm: its mean, what the mean moved by, and the standard error that is left."""

    mean: float
    moved: float
    error: float


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """``explained``: the share of the variance of units that was known before. ``known``: units with anything from before."""

    arms: dict[str, Adjusted]
    explained: float
    known: int


def cut(arms: Mapping[str, Units], before: Units) -> Cut | None:
    """``None`` where too little is known from before, or it explains nothing."""
    inside = {unit for units in arms.values() for unit in units}
    known = [pair for unit, pair in before.items() if unit in inside and pair[1] > 0]
    if len(known) < LEAST_KNOWN or any(len(units) < 2 for units in arms.values()):
        return None
    middle = sum(total for total, _ in known) / sum(count for _, count in known)
    means = {name: sum(t for t, _ in units.values()) / sum(c for _, c in units.values()) for name, units in arms.items()}
    made: dict[str, tuple[list[float], list[float]]] = {}
    for name, units in arms.items():
        per_unit = sum(count for _, count in units.values()) / len(units)
        # What each unit adds to the error of a mean over rows (delta method), and the same of the time before.
        now = [(total - means[name] * count) / per_unit for total, count in units.values()]
        then = [pair[0] - middle * pair[1] if (pair := before.get(unit)) else 0.0 for unit in units]
        made[name] = now, then
    count = sum(len(then) for _, then in made.values())
    everybody = sum(sum(then) for _, then in made.values()) / count
    varied = shared = spread = 0.0
    for now, then in made.values():
        # Within arms, so that a difference between them is not taken for what was there before.
        own = sum(then) / len(then)
        varied += sum((x - own) ** 2 for x in then)
        shared += sum((x - own) * y for x, y in zip(then, now, strict=True))
        spread += sum(y * y for y in now)
    if varied <= 0 or spread <= 0 or shared == 0:
        return None
    theta = shared / varied
    found = {name: _adjusted(means[name], now, then, everybody, theta) for name, (now, then) in made.items()}
    return Cut(arms=found, explained=min(1.0, shared * shared / (varied * spread)), known=len(known))


def _adjusted(mean: float, now: Sequence[float], then: Sequence[float], everybody: float, theta: float) -> Adjusted:
    n = len(now)
    moved = -theta * (sum(then) / n - everybody)
    left = [y - theta * (x - everybody) for x, y in zip(then, now, strict=True)]
    centre = sum(left) / n
    variance = sum((one - centre) ** 2 for one in left) / (n - 1)
    return Adjusted(mean=mean + moved, moved=moved, error=math.sqrt(variance / n))
