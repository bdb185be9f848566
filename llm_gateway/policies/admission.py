"""How many requests at once a process takes, and what happens to the next one. Pure.

The limit follows the event loop's own lag: requests wait for providers nearly all of their time, so what runs out first is the process, and
it shows in how late the loop comes round. Multiplicative decrease, additive increase, as congestion control does it.
"""

from __future__ import annotations

from typing import Literal

LAG_S = 0.05
DECREASE = 0.8
FLOOR = 8
# Somebody who waits is told within 100 ms (reliability.md R6).
WAIT_S = 0.05
MOST_WAITING = 64

Verdict = Literal["enter", "wait", "refuse"]


def verdict(inside: int, waiting: int, limit: float) -> Verdict:
    """What happens to a request that arrives with ``inside`` being served and ``waiting`` in front of the door."""
    if inside < limit:
        return "enter"
    return "wait" if waiting < MOST_WAITING else "refuse"


def adjusted(limit: float, lag_s: float, inside: int, most: int) -> float:
    """The limit after one look at the loop's lag: lower while it is late, higher again while it is on time. Between :data:`FLOOR` and ``most``."""
    floor = float(min(FLOOR, most))
    if lag_s > LAG_S:
        return max(floor, min(limit, float(max(inside, 1))) * DECREASE)
    return min(float(most), limit + max(1.0, 0.05 * limit))


def retry_after_s(draw: float) -> float:
    """When somebody refused should come back: 1 to 4 s, spread by ``draw`` in [0, 1)."""
    return 1.0 + 3.0 * draw
