"""Days by the clocks of a place. Rollups are kept by UTC hours: where a zone is half an hour off, a day begins at the full hour before."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

UTC_NAME = "UTC"
# The last moment of an hour stands for it: in zones of half hours, an hour in which a day begins belongs to that day.
_LAST = timedelta(minutes=59)


def known(zone: str) -> bool:
    return zone == UTC_NAME or zone in available_timezones()


def begins(day: date, zone: str) -> datetime:
    """The first hour of ``day``, in UTC."""
    local = datetime.combine(day, time(), ZoneInfo(zone))
    return local.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def of_hour(hour: datetime, zone: str) -> date:
    """The day to which a full hour belongs."""
    return (hour + _LAST).astimezone(ZoneInfo(zone)).date()


def of_moment(moment: datetime, zone: str) -> date:
    return of_hour(moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0), zone)


def between(start: datetime, end: datetime, zone: str) -> tuple[date, ...]:
    """Every day of a range; ``end`` exclusive."""
    if end <= start:
        return ()
    first, last = of_moment(start, zone), of_moment(end - timedelta(microseconds=1), zone)
    return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))
