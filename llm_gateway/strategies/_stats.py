"""What a window of numbers lets us believe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from ._base import Stats

Z = 1.64


def bounds(stats: Stats, z: float = Z) -> tuple[float, float]:
    """Wilson's interval of the success rate, 90 % two-sided; (0, 1) while nothing is known.

    https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval
    """
    n = stats.requests
    if n <= 0:
        return 0.0, 1.0
    rate = min(max(stats.successes, 0), n) / n
    centre = rate + z * z / (2 * n)
    margin = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


@lru_cache(maxsize=4096)
def certain(requests: int, successes: int) -> tuple[float, float, float, float]:
    """(the lower bound, the same and how far the upper one is from it to four places, the rate). Every request of a second asks it of the
    same counts."""
    low, high = bounds(Stats(requests=requests, successes=successes))
    return low, round(low, 4), round(high - low, 4), successes / requests if requests else 0.0


def shrunk_rate(stats: Stats) -> float:
    """The success rate with one success and one failure assumed beforehand: never 0 or 1 after a handful of requests."""
    return (min(max(stats.successes, 0), stats.requests) + 1) / (stats.requests + 2)


def relative(values: Sequence[float | None]) -> list[float]:
    """Each value as best / value: 1 for the smallest, 1/2 for twice that. Unknown ones get the middle of the known, 1 when none is."""
    known = sorted([value for value in values if value is not None and value >= 0])
    if not known:
        return [1.0] * len(values)
    middle = known[len(known) // 2]
    best = known[0]
    plain = [middle if value is None or value < 0 else value for value in values]
    return [1.0 if value <= best else best / value for value in plain]


def pick(weights: Sequence[float], draw: float) -> int:
    """The position ``draw`` in [0, 1) falls on when ``weights`` are laid side by side."""
    total = sum(weights)
    if total <= 0:
        return 0
    mark = draw * total
    for position, weight in enumerate(weights):
        mark -= weight
        if mark < 0:
            return position
    return max(position for position, weight in enumerate(weights) if weight > 0)
