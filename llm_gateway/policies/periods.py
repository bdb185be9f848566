"""Budget periods in their owner's timezone: from midnight, Monday or the first of the month, or
from where a budget says."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

TOTAL = "total"


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """When a period begins. ``hour``: 0 to 23 by the zone's own clock; one that a change of clocks
    leaves out begins with the change, one that comes twice begins with its first. ``weekday``: 1
    (Monday) to 7, of a week; ``monthday``: 1 to 31, of a month, in a shorter one its last day."""

    hour: int = 0
    weekday: int = 1
    monthday: int = 1

    def plain(self, period: str) -> bool:
        """Whether a period begins where it does without being told."""
        return not self.hour and (period != "week" or self.weekday == 1) and (period != "month" or self.monthday == 1)


MIDNIGHT = Reset()


@lru_cache(maxsize=512)
def zone_of(timezone: str) -> tzinfo:
    """UTC for an unknown name: a mistyped zone must not stop everybody else's budgets."""
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        return UTC


def period_id(period: str, timezone: str, now: datetime, reset: Reset = MIDNIGHT) -> str:
    """The name of the period that ``now`` falls into: ``2026-11-22``, ``2026-W47``, ``2026-11`` or
    ``total``; of one that begins elsewhere ``d20261122T06``, ``w…`` or ``m…``, the moment it began.
    A period is over when the clock names another one."""
    if period != TOTAL and not reset.plain(period):
        first, _ = _days(period, timezone, now, reset)
        return f"{period[0]}{first:%Y%m%d}T{reset.hour:02d}"
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


def shown(period: str) -> str:
    """The name of a period for people."""
    if len(period) == len("d20261122T06"):
        begun = f"{period[1:5]}-{period[5:7]}-{period[7:9]} {period[10:12]}:00"
        return f"{_WORDS.get(period[0], 'period')} from {begun}"
    return period or TOTAL


_WORDS = {"d": "day", "w": "week", "m": "month"}


def period_bounds(period: str, timezone: str, now: datetime, reset: Reset = MIDNIGHT) -> tuple[datetime | None, datetime | None]:
    """Start and end in UTC of the period that ``now`` falls into; ``(None, None)`` for
    ``total``."""
    zone = zone_of(timezone)
    if period != TOTAL and not reset.plain(period):
        begun, over = _days(period, timezone, now, reset)
        return _instant(begun, reset.hour, zone), _instant(over, reset.hour, zone)
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


def _days(period: str, timezone: str, now: datetime, reset: Reset) -> tuple[date, date]:
    """The local days on which the period of ``now`` begins and ends."""
    zone = zone_of(timezone)
    first = _latest(period, now.astimezone(zone).date(), reset)
    if _instant(first, reset.hour, zone) > now:
        first = _latest(period, first - timedelta(days=1), reset)
    return first, _next(period, first, reset)


def _latest(period: str, day: date, reset: Reset) -> date:
    """The last day, up to ``day``, on which a period begins."""
    if period == "week":
        return day - timedelta(days=(day.isoweekday() - reset.weekday) % 7)
    if period == "month":
        begin = _in_month(day, reset.monthday)
        return begin if begin <= day else _in_month(day.replace(day=1) - timedelta(days=1), reset.monthday)
    return day


def _next(period: str, first: date, reset: Reset) -> date:
    if period == "month":
        return _in_month((first.replace(day=1) + timedelta(days=32)).replace(day=1), reset.monthday)
    return first + timedelta(days=7 if period == "week" else 1)


def _in_month(day: date, monthday: int) -> date:
    return day.replace(day=min(monthday, calendar.monthrange(day.year, day.month)[1]))


def _instant(day: date, hour: int, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(hour, tzinfo=zone)).astimezone(UTC)
