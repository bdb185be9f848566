"""When to restart a process that ended, and when to kill one that hangs. Pure: no clock, no
process.

It never gives up. A process that keeps ending costs one start a minute; giving up would stop its
work until somebody looks, and stopping the others with it would end the relay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HEALTHY_AFTER_S = 30.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
# A worker's event loop reports every second.
HANGS_AFTER_S = 15.0
ENDED_AFTER_S = 60.0
# The task cluster runs something every minute, and no task for longer than two.
CLUSTER_ENDED_AFTER_S = 300.0
# A check that comes later than this proves nothing about the children: this process itself was
# stopped or starved.
LOOK_AT_LEAST_EVERY_S = 5.0


def failures(before: int, ran_s: float) -> int:
    """The number of failures in a row, after one that ran ``ran_s``. A healthy run resets it."""
    return 1 if ran_s >= HEALTHY_AFTER_S else before + 1


def pause_s(failures: int, first_s: float = FIRST_PAUSE_S, longest_s: float = LONGEST_PAUSE_S) -> float:
    """Doubles from ``first_s`` to ``longest_s``. ``failures`` from 1 on, as many as there are."""
    return min(longest_s, first_s * 2.0 ** min(failures - 1, 30))


@dataclass(slots=True)
class Pulse:
    """What is known of one process's signs of life. ``sign`` is anything that changes while it
    lives, ``None`` when nothing is to be had of it (it never gave one); ``stopped``: the kernel
    says that a signal stopped it."""

    sign: float | None = None
    since: float | None = None
    looked: float | None = None

    def look(self, now: float, sign: float | None, *, stopped: bool) -> float:
        """Seconds without a heartbeat."""
        absent = self.looked is None or now - self.looked > LOOK_AT_LEAST_EVERY_S
        self.looked = now
        silent = stopped or (sign is not None and sign == self.sign)
        self.sign = sign
        if not silent:
            self.since = None
        elif self.since is None or absent:
            self.since = now
        return 0.0 if self.since is None else now - self.since


Verdict = Literal["up", "hanging", "end"]
_ORDER: tuple[Verdict, ...] = ("up", "hanging", "end")


def judged(silent_s: float, hangs_after_s: float = HANGS_AFTER_S, ended_after_s: float = ENDED_AFTER_S) -> Verdict:
    if silent_s >= ended_after_s:
        return "end"
    return "hanging" if silent_s >= hangs_after_s else "up"


def worse(one: Verdict, other: Verdict) -> Verdict:
    return max(one, other, key=_ORDER.index)
