"""Whether a canary does worse than its guards allow. Checking every minute raises no more false
alarms than checking once. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from .evidence import radius

# The chance, over all guards and checks, that an equally good canary is rolled back.
ALPHA = 0.01
LEAST_BASE = 50


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one version's requests. ``slow``: answers of ``answers`` that took longer
    than the limit; costs in nano-USD."""

    requests: int = 0
    ok: int = 0
    answers: int = 0
    slow: int = 0
    priced: int = 0
    cost: float = 0.0
    cost_squares: float = 0.0

    def plus(self, other: Seen) -> Seen:
        return Seen(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


def breach(base: Seen, canary: Seen, guards: Mapping[str, Any]) -> str:
    """A sentence about what is worse; empty while nothing is, or while there is too little data."""
    if canary.requests < (guards.get("min_requests") or 0) or base.requests < LEAST_BASE:
        return ""
    each = ALPHA / 3
    return (
        _success(base, canary, guards.get("success_points"), each)
        or _slow(canary, guards.get("p95_factor"), each)
        or _cost(base, canary, guards.get("cost_factor"), each)
    )


def _success(base: Seen, canary: Seen, points: float | None, alpha: float) -> str:
    if points is None:
        return ""
    was, now = base.ok / base.requests, canary.ok / canary.requests
    error = math.sqrt(_binary(base.ok, base.requests) + _binary(canary.ok, canary.requests))
    worse = now - was + radius(error, _together(base.requests, canary.requests), alpha) < 0
    if worse and now - was <= -points / 100:
        return f"Success fell from {was:.1%} to {now:.1%} over {canary.requests} requests."
    return ""


def _slow(canary: Seen, factor: float | None, alpha: float) -> str:
    """The limit is the base's p95 times the factor, so at most one in twenty answers may pass
    it."""
    if factor is None or canary.answers < LEAST_BASE:
        return ""
    share = canary.slow / canary.answers
    if share - radius(math.sqrt(_binary(canary.slow, canary.answers)), canary.answers, alpha) > 0.05:
        return f"{share:.0%} of its answers took longer than {factor:g} times what 95 % took before."
    return ""


def _cost(base: Seen, canary: Seen, factor: float | None, alpha: float) -> str:
    if factor is None or canary.priced < LEAST_BASE or base.priced < LEAST_BASE:
        return ""
    was, now = base.cost / base.priced, canary.cost / canary.priced
    error = math.sqrt(_variance(canary) / canary.priced + factor * factor * _variance(base) / base.priced)
    if now - factor * was - radius(error, _together(base.priced, canary.priced), alpha) > 0:
        return f"A request costs {now / was:.1f} times as much." if was else "Its requests cost money, and those before cost none."
    return ""


def _binary(hits: int, count: int) -> float:
    """The variance of a share, as if one more had hit and one more had missed: never 0."""
    share = (hits + 1) / (count + 2)
    return share * (1 - share) / count


def _variance(seen: Seen) -> float:
    mean = seen.cost / seen.priced
    return max(0.0, seen.cost_squares / seen.priced - mean * mean)


def _together(a: int, b: int) -> float:
    return 2 * a * b / (a + b)
