"""The clocks of an attempt, and the deadline a caller may set."""

from __future__ import annotations

import msgspec

from llm_gateway.core.catalog import ProviderInfo
from llm_gateway.core.errors import InvalidRequest

DEADLINE_HEADER = "x-request-timeout-ms"
MAX_DEADLINE_MS = 24 * 3600 * 1000
# An unstreamed answer arrives whole, so its first event gets more time than the first token of a
# stream.
UNSTREAMED_FACTOR = 5


class Clocks(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds: to connect, to the first event, between events (heartbeats do not count), and
    of the whole attempt.

    ``by_deadline``: the caller's deadline is what bounds ``total_ms``, so its end is ``deadline``,
    not ``total_timeout``.
    """

    connect_ms: int = 5_000
    first_event_ms: int = 60_000
    idle_ms: int = 60_000
    total_ms: int = 600_000
    by_deadline: bool = False


DEFAULT_CLOCKS = Clocks()


def clocks_for(
    provider: ProviderInfo, deadline_remaining_s: float | None, defaults: Clocks = DEFAULT_CLOCKS, *, streamed: bool = True
) -> Clocks:
    """The provider's own limits override the defaults; none exceeds the time left until the
    deadline (at least 1 ms)."""
    total = provider.total_timeout_ms or defaults.total_ms
    by_deadline = False
    if deadline_remaining_s is not None and deadline_remaining_s * 1000 < total:
        total, by_deadline = max(1, int(deadline_remaining_s * 1000)), True
    first = provider.first_event_timeout_ms or defaults.first_event_ms * (1 if streamed else UNSTREAMED_FACTOR)
    return Clocks(
        connect_ms=min(total, provider.connect_timeout_ms or defaults.connect_ms),
        first_event_ms=min(total, first),
        idle_ms=min(total, provider.idle_timeout_ms or defaults.idle_ms),
        total_ms=total,
        by_deadline=by_deadline,
    )


def parse_deadline(value: str | None) -> float | None:
    """Seconds from an ``x-request-timeout-ms`` header; ``None`` when absent. Raises
    :class:`InvalidRequest` for anything but a positive whole number of milliseconds up to a day."""
    if value is None:
        return None
    text = value.strip()
    milliseconds = int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0
    if not 0 < milliseconds <= MAX_DEADLINE_MS:
        raise InvalidRequest(
            f"{DEADLINE_HEADER} has to be a whole number of milliseconds from 1 to {MAX_DEADLINE_MS}", param=DEADLINE_HEADER
        )
    return milliseconds / 1000
