"""Budget periods in their owner's timezone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

TOTAL = "total"


@lru_cache(maxsize=512)
def zone_of(timezone: str) -> tzinfo:
    """UTC for a name that nobody knows: a mistyped zone must not stop the money of everybody else."""
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        return UTC


def period_id(period: str, timezone: str, now: datetime) -> str:
    """The name of the period that ``now`` falls into: ``2026-11-22``, ``2026-W47``, ``2026-11`` or ``total``. A period is over when the
    clock names another one."""
    local = now.astimezone(zone_of(timezone))
    match period:
        case "day":
            return local.date().isoformat()
        case "week":
            year, week, _ = local.isocalendar()
            return f"{year}-W{week:02d}"
        case "month":
            return f"{local.year:04d}-{local.month:02d}"
        case _:
            return TOTAL


def period_bounds(period: str, timezone: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Start and end in UTC of the period that ``now`` falls into; ``(None, None)`` for ``total``."""
    zone = zone_of(timezone)
    today = now.astimezone(zone).date()
    match period:
        case "day":
            first, after = today, today + timedelta(days=1)
        case "week":
            first = today - timedelta(days=today.weekday())
            after = first + timedelta(days=7)
        case "month":
            first = today.replace(day=1)
            after = (first + timedelta(days=32)).replace(day=1)
        case _:
            return None, None
    midnight = time(tzinfo=zone)
    return datetime.combine(first, midnight).astimezone(UTC), datetime.combine(after, midnight).astimezone(UTC)
