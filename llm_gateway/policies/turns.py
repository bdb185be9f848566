"""Which batch's lines run next. Pure.

A free place goes to the team with the fewest running lines, and within it to the batch with the
fewest, so ten lines never wait behind fifty thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A batch with lines to run. ``running``: in all runners; ``most``: how many of its lines may
    be taken now."""

    batch: UUID
    team: int
    queued: int
    running: int
    most: int


def turns(waiting: Sequence[Waiting], free: int) -> list[tuple[UUID, int]]:
    """(batch, how many of its lines to take), for at most ``free`` places. Of equals, the one that
    stands first in ``waiting``."""
    of_team: dict[int, int] = {}
    for one in waiting:
        of_team[one.team] = of_team.get(one.team, 0) + one.running
    granted: dict[UUID, int] = {}
    open_ones = [one for one in waiting if min(one.queued, one.most) > 0]
    while free > 0 and open_ones:
        team = min(open_ones, key=lambda one: of_team[one.team]).team
        chosen = min((one for one in open_ones if one.team == team), key=lambda one: one.running + granted.get(one.batch, 0))
        granted[chosen.batch] = granted.get(chosen.batch, 0) + 1
        of_team[team] += 1
        free -= 1
        if granted[chosen.batch] >= min(chosen.queued, chosen.most):
            open_ones.remove(chosen)
    return list(granted.items())
