"""How many batch lines one deployment gets at a time. Pure.

Additive increase, halved when it pushes back (429, 529), nothing before the moment it names. Where
live traffic goes, a batch has at most a quarter of its places. The shape is TCP's: RFC 5681,
section 3.1.
"""

from __future__ import annotations

import msgspec

FIRST, LEAST = 8.0, 1.0
LIVE_SHARE = 0.25
# Every line in flight reports the same overload: reports within this time count as one.
ONE_PUSH_S = 1.0
# Pause after a push-back that names no time; it doubles each time.
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """``limit``: lines at a time; ``not_before``, ``pushed_at``: on the clock of the caller;
    ``pushes``: in a row."""

    limit: float = FIRST
    not_before: float = 0.0
    pushed_at: float = -ONE_PUSH_S
    pushes: int = 0


def room(pace: Pace, running: int, most: int, now: float, *, live: bool) -> int:
    """How many lines may begin now beside the ``running`` ones, of a runner that has ``most``
    places."""
    if now < pace.not_before:
        return 0
    ceiling = max(LEAST, most * LIVE_SHARE) if live else most
    return max(0, int(min(pace.limit, ceiling)) - running)


def succeeded(pace: Pace, most: int) -> Pace:
    """One line was answered: the limit grows by one for each of its own size."""
    return msgspec.structs.replace(pace, limit=min(float(most), pace.limit + 1 / pace.limit), pushes=0)


def pushed_back(pace: Pace, now: float, retry_after_s: float | None) -> Pace:
    again = now - pace.pushed_at < ONE_PUSH_S
    pushes = pace.pushes if again else pace.pushes + 1
    wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(max(pushes - 1, 0), 30)) if retry_after_s is None else retry_after_s
    return Pace(
        limit=pace.limit if again else max(LEAST, pace.limit / 2),
        not_before=max(pace.not_before, now + wait),
        pushed_at=pace.pushed_at if again else now,
        pushes=pushes,
    )
