"""Requests per minute as a token bucket: pure, exact, and honest about when to come back.

A bucket of the same size as the rate lets a burst of one minute's worth through and then spaces requests evenly; a fixed window would let
twice that through around its edge. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

import math

import msgspec


class Bucket(msgspec.Struct, frozen=True):
    """``level``: requests left at ``at``."""

    level: float
    at: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``retry_after_s``: when the next request will pass, exact; 0 when this one may. ``limit``, ``remaining`` and ``reset_s`` (until the
    bucket is full) are for the ``x-ratelimit-*`` headers."""

    allowed: bool
    retry_after_s: float
    limit: int
    remaining: int
    reset_s: float


def take(bucket: Bucket | None, per_minute: int, now: float, *, processes: int = 1, cost: float = 1.0) -> tuple[Verdict, Bucket]:
    """Ask for ``cost`` requests. ``bucket`` ``None``: full. ``processes``: how many share the limit without seeing each other; each then
    gets its part, at least one request a minute (F1: degraded limits are local, never gone)."""
    limit = max(1, per_minute // max(1, processes))
    rate = limit / 60
    # A clock that went back (a restored bucket) must not take what had been earned.
    earned = max(0.0, now - bucket.at) * rate if bucket else 0.0
    level = min(float(limit), bucket.level + earned) if bucket else float(limit)
    # Seconds times a rate do not come back exactly: a request at its promised time must not miss by a rounding.
    allowed = level + 1e-9 >= cost
    wait = 0.0 if allowed else (cost - level) / rate
    level = max(0.0, level - cost) if allowed else level
    verdict = Verdict(allowed=allowed, retry_after_s=wait, limit=limit, remaining=int(level + 1e-9), reset_s=(limit - level) / rate)
    return verdict, Bucket(level, now)


def header_seconds(seconds: float) -> int:
    """A wait as a ``Retry-After`` header, rounded up: coming back at the promised second must work."""
    return max(0, math.ceil(round(seconds, 6)))
