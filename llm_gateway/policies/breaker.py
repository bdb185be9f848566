"""The circuit breaker of one deployment as a frozen value: every function takes one and returns the
next.

Times are seconds of one monotonic clock; :func:`dump` and :func:`load` carry a breaker over a
restart through wall time. A run of failures counts, not their sum: five scattered failures among
thousands of successes mean nothing. The share of failures covers hosts that fail often but not
always.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

RUN = 5
WINDOW_S = 10.0
MIN_REQUESTS = 10
SHARE = 0.5
OPEN_S = 10.0
MAX_OPEN_S = 120.0
MAX_COOLDOWN_S = 3600.0
# When every candidate is out, each is tried once per this interval, so that an outage does not get
# every request.
PANIC_S = 1.0
# A probe that never reported its end (a crashed or cancelled task) must not keep a deployment out
# for ever.
PROBE_LEASE_S = 60.0


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """``run``: (time, seconds waited for it) of the failures since the last success, at most five.

    ``seconds``: (second, answers, failures) of the window. ``until``: when an open breaker may be
    probed; ``ejections``: how often in a row it opened; ``probe_at``: since when a probe is out.
    ``cool_until``: end of a cooldown or suspension, which needs no probe when it is over.
    """

    state: State = State.CLOSED
    run: tuple[tuple[float, float], ...] = ()
    seconds: tuple[tuple[int, int, int], ...] = ()
    opened_at: float | None = None
    until: float = 0.0
    ejections: int = 0
    probe_at: float | None = None
    cool_until: float = 0.0

    @property
    def consecutive(self) -> int:
        """Failures in a row, up to the largest that still matters; doubling cooldowns count
        these."""
        return len(self.run) + RUN * self.ejections


def admit(breaker: Breaker, now: float) -> tuple[bool, Breaker]:
    """Whether a request may go, and the breaker after that decision: past ``until`` exactly one
    goes as a probe."""
    if now < breaker.cool_until:
        return False, breaker
    if breaker.state is State.CLOSED:
        return True, breaker
    if now < breaker.until or _probing(breaker, now):
        return False, breaker
    return True, replace(breaker, state=State.HALF_OPEN, probe_at=now)


def panic(breaker: Breaker, now: float) -> tuple[bool, Breaker]:
    """Every candidate is out: let one request through as a probe before its time, if none is out
    already and the last one failed :data:`PANIC_S` ago."""
    if _probing(breaker, now) or (breaker.opened_at is not None and now - breaker.opened_at < PANIC_S):
        return False, breaker
    return True, replace(breaker, state=State.HALF_OPEN if breaker.state is not State.CLOSED else State.CLOSED, probe_at=now)


def success(breaker: Breaker, now: float) -> Breaker:
    """An answer arrived. Closes a half-open breaker and forgets the run; late answers to requests
    sent before it opened do not close it."""
    if breaker.state is State.HALF_OPEN:
        return Breaker(cool_until=breaker.cool_until)
    if breaker.state is State.OPEN:
        return breaker
    return replace(breaker, run=(), ejections=0, probe_at=None, seconds=_counted(breaker, now, failed=0))


def failure(breaker: Breaker, now: float, waited_s: float = 0.0) -> Breaker:
    """A failure of the host arrived (a caller's own 400 is none: use :func:`release`).
    ``waited_s``: how long the attempt took; it is not counted in the ten seconds, else a host that
    is silent for a minute at a time would never be taken out."""
    if breaker.state is State.HALF_OPEN:
        return _open(breaker, now)
    if breaker.state is State.OPEN:
        return breaker
    run = (*breaker.run, (now, max(waited_s, 0.0)))[-RUN:]
    seconds = _counted(breaker, now, failed=1)
    answers = sum(second[1] for second in seconds)
    failures = sum(second[2] for second in seconds)
    breaker = replace(breaker, run=run, seconds=seconds, probe_at=None)
    idle = now - run[0][0] - sum(waited for _, waited in run[1:])
    in_a_row = len(run) == RUN and idle <= WINDOW_S
    often = answers >= MIN_REQUESTS and failures >= SHARE * answers
    return _open(breaker, now) if in_a_row or often else breaker


def release(breaker: Breaker) -> Breaker:
    """A request ended without evidence about the host (caller gone, caller's 400): frees a probe's
    place."""
    return replace(breaker, probe_at=None) if breaker.probe_at is not None else breaker


def cool(breaker: Breaker, now: float, seconds: float) -> Breaker:
    """Keep the deployment out for ``seconds`` from now; never shortens an earlier, longer rest."""
    until = now + min(max(seconds, 0.0), MAX_COOLDOWN_S)
    return replace(breaker, cool_until=max(breaker.cool_until, until), probe_at=None)


def trip(breaker: Breaker, now: float, seconds: float) -> Breaker:
    """Another process found that the deployment keeps failing: open for ``seconds`` unless it is
    open already."""
    if breaker.state is not State.CLOSED:
        return breaker
    rest = min(max(seconds, 0.0), MAX_OPEN_S)
    return Breaker(state=State.OPEN, opened_at=now, until=now + rest, ejections=1, cool_until=breaker.cool_until)


def wait_s(breaker: Breaker, now: float) -> float:
    """Seconds until :func:`admit` may say yes; 0 when it may now. A probe that is out counts with
    the rest of its lease."""
    wait = max(0.0, breaker.cool_until - now)
    if breaker.state is not State.CLOSED:
        wait = max(wait, breaker.until - now)
        if breaker.probe_at is not None and _probing(breaker, now):
            wait = max(wait, breaker.probe_at + PROBE_LEASE_S - now)
    return wait


def dump(breaker: Breaker, now: float, wall: datetime) -> dict[str, Any]:
    """What survives a restart, as JSON-able values with absolute times."""
    return {
        "state": breaker.state.value,
        "ejections": breaker.ejections,
        "until": (wall + timedelta(seconds=breaker.until - now)).isoformat() if breaker.state is not State.CLOSED else None,
        "cool_until": (wall + timedelta(seconds=breaker.cool_until - now)).isoformat() if breaker.cool_until > now else None,
    }


def load(data: Mapping[str, Any], now: float, wall: datetime) -> Breaker:
    """A breaker from :func:`dump`'s values. Rests are clamped to what could have been set, so a
    clock that jumped back frees a deployment in bounded time and one that jumped ahead merely frees
    it early. Nonsense loads as a closed breaker."""
    rest = _left(data.get("until"), wall, MAX_OPEN_S)
    cooling = _left(data.get("cool_until"), wall, MAX_COOLDOWN_S)
    ejections = data.get("ejections")
    is_open = data.get("state") in (State.OPEN.value, State.HALF_OPEN.value)
    return Breaker(
        state=State.OPEN if is_open else State.CLOSED,
        opened_at=now if is_open else None,
        until=now + rest if is_open else 0.0,
        ejections=ejections if isinstance(ejections, int) and 0 <= ejections < 100 else 0,
        cool_until=now + cooling if cooling else 0.0,
    )


def _open(breaker: Breaker, now: float) -> Breaker:
    ejections = breaker.ejections + 1
    rest = min(OPEN_S * 2 ** min(ejections - 1, 10), MAX_OPEN_S)
    return Breaker(state=State.OPEN, opened_at=now, until=now + rest, ejections=ejections, cool_until=breaker.cool_until)


def _probing(breaker: Breaker, now: float) -> bool:
    return breaker.probe_at is not None and 0 <= now - breaker.probe_at < PROBE_LEASE_S


def _counted(breaker: Breaker, now: float, *, failed: int) -> tuple[tuple[int, int, int], ...]:
    """The window's counts with one more answer. Kept per second, so that a busy deployment costs no
    more than an idle one."""
    second = int(now)
    kept = tuple(entry for entry in breaker.seconds if second - WINDOW_S < entry[0] <= second)
    if kept and kept[-1][0] == second:
        _, answers, failures = kept[-1]
        return (*kept[:-1], (second, answers + 1, failures + failed))
    return (*kept, (second, 1, failed))


def _left(value: object, wall: datetime, limit: float) -> float:
    if not isinstance(value, str):
        return 0.0
    try:
        return min(max((datetime.fromisoformat(value) - wall).total_seconds(), 0.0), limit)
    except (ValueError, TypeError, OverflowError):
        return 0.0
