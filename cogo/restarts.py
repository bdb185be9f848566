"""When a process that ended is started again, and when one that hangs is ended. Pure: no clock, no process.

There is no last try. A process that keeps ending costs a start every minute; giving up on it would cost whatever it does until somebody
looks, and giving up on its account on the others would end the relay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HEALTHY_AFTER_S = 30.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
# The event loop of a worker says each second that it turns.
HANGS_AFTER_S = 15.0
ENDED_AFTER_S = 60.0
# The task cluster runs something each minute, and no task for longer than two.
CLUSTER_ENDED_AFTER_S = 300.0
# A look that comes later than this says nothing of the children: this process itself was stopped or starved.
LOOK_AT_LEAST_EVERY_S = 5.0


def failures(before: int, ran_s: float) -> int:
    """How often in a row it failed, when it ended after ``ran_s``. A healthy while makes it the first time again."""
    return 1 if ran_s >= HEALTHY_AFTER_S else before + 1


def pause_s(failures: int, first_s: float = FIRST_PAUSE_S, longest_s: float = LONGEST_PAUSE_S) -> float:
    """Doubles from ``first_s`` to ``longest_s``. ``failures`` from 1 on, as many as there are."""
    return min(longest_s, first_s * 2.0 ** min(failures - 1, 30))


@dataclass(slots=True)
class Pulse:
    """What is known of one process's signs of life. ``sign`` is anything that changes while it lives, ``None`` when nothing is to be had of
    it (it never gave one); ``stopped``: the kernel says that a signal stopped it."""

    sign: float | None = None
    since: float | None = None
    looked: float | None = None

    def look(self, now: float, sign: float | None, *, stopped: bool) -> float:
        """Seconds without a sign of life."""
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
