"""Whether a mean fell, asked again and again of a window that rolls: surely, by enough to matter, and never of a few values. Pure."""

from __future__ import annotations

import math

import msgspec

from .evidence import Sums, radius

# Of one look at one group. The sequence holds for a window that grows; one that rolls is a new one every day, so it asks for much.
ALPHA = 0.0005
# From the best score to the lowest.
WORST = 100.0


class Fall(msgspec.Struct, frozen=True, kw_only=True):
    """From ``was`` to ``now``; the fall is surely at least ``least`` and at most ``most``."""

    was: float
    now: float
    least: float
    most: float


def fallen(before: Sums, recent: Sums, *, at_least: float, values: int) -> Fall | None:
    """``None``: no fall of ``at_least`` is there that is surely one, or either side has fewer than ``values``."""
    was, now = before.mean, recent.mean
    if was is None or now is None or min(before.n, recent.n) < max(values, 2):
        return None
    # Most scores are the same and few are low. Each side counts as if one more had been 0, so that no variance is 0 by chance.
    spread = [max(one.variance, WORST**2 / one.n) / one.n for one in (before, recent)]
    margin = radius(math.sqrt(sum(spread)), 2 * before.n * recent.n / (before.n + recent.n), ALPHA)
    fall = was - now
    if fall < at_least or fall - margin <= 0:
        return None
    return Fall(was=was, now=now, least=fall - margin, most=fall + margin)
