"""A destination's quiet hours. Pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


def quiet_until(begin: time, end: time, zone: str, now: datetime) -> datetime | None:
    """The end of the quiet hours that ``now`` lies in; ``None`` outside of them. ``begin`` after
    ``end``: over midnight; the same: none.

    ``now`` is aware; hours are those of the clocks of ``zone``. Raises
    ``ZoneInfoNotFoundError``."""
    if begin == end:
        return None
    local = now.astimezone(ZoneInfo(zone))
    clock = local.time().replace(tzinfo=None)
    inside = begin <= clock < end if begin < end else clock >= begin or clock < end
    if not inside:
        return None
    day = local.date() + timedelta(days=1 if begin > end and clock >= begin else 0)
    return datetime.combine(day, end, tzinfo=local.tzinfo)
