"""Parses every form in which a provider asks the gateway to wait."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_S = 10 * 366 * 86400.0


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait from response headers with lower-case names; ``None`` when absent or
    nonsense; a past date is 0.

    Order as the OpenAI SDK reads them: ``retry-after-ms``, ``x-ms-retry-after-ms``, ``retry-after``
    in seconds, then as an HTTP date; last Anthropic's ``anthropic-ratelimit-*-reset`` of a limit
    that is used up. Dates need ``now``; without it they count as absent (the caller knows the
    clock, a wire does not): the HTTP ``date`` header of the same answer serves as the clock when
    present.
    """
    for name, scale in (("retry-after-ms", 1000.0), ("x-ms-retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _number(headers.get(name), scale)
        if seconds is not None:
            return seconds
    clock = now or _date(headers.get("date"))
    at = _date(headers.get("retry-after"))
    if at and clock:
        return max(0.0, (at - clock).total_seconds())
    if clock:
        resets = [
            reset
            for name, value in headers.items()
            if name.startswith("anthropic-ratelimit-")
            and name.endswith("-reset")
            and headers.get(name[:-5] + "remaining") == "0"
            and (reset := _rfc3339(value))
        ]
        if resets:
            return max(0.0, (max(resets) - clock).total_seconds())
    return None


def _number(text: str | None, scale: float) -> float | None:
    try:
        value = float(text or "") / scale
    except ValueError:
        return None
    return value if 0 <= value <= _MAX_S else None


def _date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _rfc3339(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
