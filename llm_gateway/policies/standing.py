"""The recent success of a provider or model, from its calls alone.

A breaker opens on a burst of failures, so that a host is spared. A trickle of requests never makes
a burst, however dead the host, so pages and the status API show this beside the breaker. It does
not affect routing.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

WINDOW_S = 300.0
# Fewer failures than this may be chance.
FEW = 3
FAILING_SHARE = 0.5
UNSTEADY_SHARE = 0.1

# Failures that the caller caused, or nobody: no evidence about the host.
_NOT_THE_HOST = frozenset({
    "stale_conn", "bad_request", "unsupported_parameter", "conflict", "too_large", "context_length", "content_filter", "deadline",
})  # fmt: skip
_ENDED_BADLY = frozenset({"failed", "partial"})


class Standing(StrEnum):
    """``QUIET``: no calls, so no evidence."""

    QUIET = "quiet"
    HEALTHY = "healthy"
    UNSTEADY = "unsteady"
    FAILING = "failing"


class Lately(msgspec.Struct, frozen=True):
    """Calls of the last :data:`WINDOW_S` seconds that are evidence about the host, and how many
    failed."""

    calls: int = 0
    failures: int = 0

    @property
    def standing(self) -> Standing:
        if not self.calls:
            return Standing.QUIET
        share = self.failures / self.calls
        if self.failures >= FEW and share >= FAILING_SHARE:
            return Standing.FAILING
        return Standing.UNSTEADY if self.failures >= FEW and share >= UNSTEADY_SHARE else Standing.HEALTHY

    @property
    def words(self) -> str:
        """``5 of 6 calls failed in the last 5 minutes``."""
        return (
            f"{self.failures:,} of {self.calls:,} {'call' if self.calls == 1 else 'calls'} failed in the last {WINDOW_S / 60:.0f} minutes"
        )

    def __add__(self, other: Lately) -> Lately:
        return Lately(self.calls + other.calls, self.failures + other.failures)


def counts(outcome: str, error_class: str) -> bool:
    """Whether such an outcome is evidence about the host. A caller who left is none."""
    return outcome == "ok" or (outcome in _ENDED_BADLY and error_class not in _NOT_THE_HOST)


def lately(calls: Iterable[tuple[str, str, int]]) -> Lately:
    """From (outcome, error class, how many) of the window's attempts."""
    total = Lately()
    for outcome, error_class, number in calls:
        if counts(outcome, error_class):
            total += Lately(number, 0 if outcome == "ok" else number)
    return total
