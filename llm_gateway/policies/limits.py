"""Requests and tokens per minute as a token bucket: pure, exact, and honest about when to come
back.

A bucket of the same size as the rate lets a burst of one minute's worth through and then spaces
requests evenly; a fixed window would let twice that through around its edge. Times are seconds of
one monotonic clock.
"""

from __future__ import annotations

import msgspec


class Bucket(msgspec.Struct, frozen=True):
    """``level``: what is left at ``at``; below 0 when more was used than had been asked for."""

    level: float
    at: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``retry_after_s``: when the next request will pass, exact; 0 when this one may. ``limit``,
    ``remaining`` and ``reset_s`` (until the bucket is full) are for the ``x-ratelimit-*``
    headers."""

    allowed: bool
    retry_after_s: float
    limit: int
    remaining: int
    reset_s: float


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A caller's remaining limits; ``None``: it has none."""

    requests: Verdict | None = None
    tokens: Verdict | None = None


def share(per_minute: int, processes: int) -> int:
    """One process's part of a limit."""
    return max(1, per_minute // max(1, processes))


def corrected(bucket: Bucket, per_minute: int, reserved: float, used: float, *, processes: int = 1) -> Bucket:
    """Replace the ``reserved`` cost by what was ``used``."""
    return Bucket(min(float(share(per_minute, processes)), bucket.level + reserved - used), bucket.at)


def take(bucket: Bucket | None, per_minute: int, now: float, *, processes: int = 1, cost: float = 1.0) -> tuple[Verdict, Bucket]:
    """Ask for ``cost`` requests or tokens; for 0 to look. ``bucket`` ``None``: full. ``processes``:
    how many share the limit without seeing each other; each then gets its part, at least one a
    minute (F1: degraded limits are local, never gone)."""
    limit = share(per_minute, processes)
    rate = limit / 60
    # A clock that went back (a restored bucket) must not take what had been earned.
    earned = max(0.0, now - bucket.at) * rate if bucket else 0.0
    level = min(float(limit), bucket.level + earned) if bucket else float(limit)
    # Seconds times a rate do not come back exactly: a request at its promised time must not miss by
    # a rounding.
    allowed = not cost or level + 1e-9 >= cost
    wait = 0.0 if allowed else (cost - level) / rate
    level = (max(0.0, level - cost) if cost else level) if allowed else level
    verdict = Verdict(allowed=allowed, retry_after_s=wait, limit=limit, remaining=max(0, int(level + 1e-9)), reset_s=(limit - level) / rate)
    return verdict, Bucket(level, now)
