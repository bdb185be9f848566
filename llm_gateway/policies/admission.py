"""How many requests a process serves at once, and what happens to the next one. Pure.

The limit follows the event loop's own lag: requests spend nearly all their time waiting for
providers, so the process's own time runs out first, and the loop's lag shows it. Multiplicative
decrease, additive increase, as congestion control does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

# A request takes about ten turns of the loop, so its answer is late by ten times this.
LAG_S = 0.04
# One late look is a hiccup (a collection, a busy neighbour), so the latest of the last ones does
# not count; the others' mean is load. Under load the loop goes through its work in bursts, after
# which it is in time once, so the least of them would say nothing.
LOOK_EVERY_S = 0.05
LOOKS = 4
DECREASE = 0.8
FLOOR = 32
# A waiting caller gets an answer within 100 ms (reliability.md R6).
WAIT_S = 0.05
MOST_WAITING = 64

Verdict = Literal["enter", "wait", "refuse"]


def verdict(inside: int, waiting: int, limit: float) -> Verdict:
    """The fate of a request that arrives while ``inside`` are served and ``waiting`` queue."""
    if inside < limit:
        return "enter"
    return "wait" if waiting < MOST_WAITING else "refuse"


def adjusted(limit: float, lags_s: Sequence[float], inside: int, most: int) -> float:
    """The limit after another look at the loop's lag, given the latest of them: lower while it
    stays late, higher again otherwise. Between :data:`FLOOR` and ``most``."""
    floor = float(min(FLOOR, most))
    if len(lags_s) >= LOOKS and sum(sorted(lags_s)[:-1]) > LAG_S * (len(lags_s) - 1):
        return max(floor, min(limit, float(max(inside, 1))) * DECREASE)
    return min(float(most), limit + max(0.5, 0.02 * limit))


def retry_after_s(draw: float) -> float:
    """When a refused caller should retry: 1 to 4 s, spread by ``draw`` in [0, 1)."""
    return 1.0 + 3.0 * draw
