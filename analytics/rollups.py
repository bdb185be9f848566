"""From the request log to the rollups, again and again, with the same result each time.

A run recomputes whole hours: those since the last run, and those that had an open request then. A request finishes either in an hour
that is recomputed anyway or was open at the last run, so no late row is missed and no index on the end of requests is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from llm_gateway.models import LedgerEntry, RequestLog

from . import aggregate
from .measures import Measures
from .models import DIMENSIONS, DailyRollup, HourlyRollup, Rollup, RollupState

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# A row may be committed a little after the moment it arrived; until then its hour is not taken as complete.
MARGIN = timedelta(minutes=10)
# Hours read with one set of queries.
AT_ONCE = 6


class Superseded(Exception):
    """A newer run has begun and does this one's work, with fresher rows."""


def roll_up(now: datetime | None = None) -> dict[str, int]:
    """Bring the rollups up to ``now``. Returns how many hours and days were recomputed. Safe to run twice, also at once."""
    now = now or timezone.now()
    first = RequestLog.objects.order_by("created_at").values_list("created_at", flat=True).first()
    if first is None:
        return {"hours": 0, "days": 0}
    RollupState.objects.get_or_create(pk=1, defaults={"until": floor_hour(first)})
    generation = _claim()
    state = RollupState.objects.get(pk=1)
    pending = _pending()
    start, end = floor_hour(min(state.until, now)), floor_hour(now)
    hours = {start + i * HOUR for i in range(int((end - start) / HOUR) + 1)}
    hours |= {_from_unix(hour) for hour in (*state.pending, *pending)}
    try:
        done = _rebuild(hours, generation)
    except Superseded:
        return {"hours": 0, "days": 0}
    until = max(floor_hour(now - MARGIN), state.until)
    RollupState.objects.filter(pk=1, generation=generation).update(until=until, pending=pending, ran_at=now)
    return done


def rebuild(hours: Iterable[datetime]) -> dict[str, int]:
    """Recompute these hours and the days they are in. An hour whose log was purged comes out empty: name only hours whose log is whole."""
    RollupState.objects.get_or_create(pk=1, defaults={"until": floor_hour(min(hours := set(hours)))})
    return _rebuild(hours, _claim())


def read(begin: datetime, end: datetime) -> dict[tuple[datetime, tuple[Any, ...]], Measures]:
    """The log and the corrections of a time range by hour and :data:`DIMENSIONS`, summed up. Always with an end, however far: of a range
    without one, PostgreSQL expects a third of a table that it has not analysed yet, and reads all of it."""
    when = {"created_at__gte": begin, "created_at__lt": end}
    found: dict[tuple[datetime, tuple[Any, ...]], Measures] = {}
    for hour, key, cell in aggregate.cells(RequestLog.objects.filter(**when), LedgerEntry.objects.filter(**when)):
        found.setdefault((hour, key), Measures()).add(cell)
    return found


def floor_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _rebuild(hours: set[datetime], generation: int) -> dict[str, int]:
    for begin, end in _stretches(sorted(hours)):
        _rebuild_hours(begin, end, generation)
    days = {hour.date() for hour in hours}
    for day in sorted(days):
        _rebuild_day(day, generation)
    return {"hours": len(hours), "days": len(days)}


def _stretches(hours: Sequence[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Hours that follow each other are read together, a few at a time."""
    at = 0
    while at < len(hours):
        end = at + 1
        while end < len(hours) and end - at < AT_ONCE and hours[end] - hours[end - 1] == HOUR:
            end += 1
        yield hours[at], hours[end - 1] + HOUR
        at = end


def _rebuild_hours(begin: datetime, end: datetime, generation: int) -> None:
    cells: dict[datetime, dict[tuple[Any, ...], Measures]] = {}
    for (hour, key), cell in read(begin, end).items():
        cells.setdefault(hour, {})[key] = cell
    while begin < end:
        _replace(HourlyRollup, {"hour": begin}, cells.get(begin, {}), generation)
        begin += HOUR


def _rebuild_day(day: date, generation: int) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    cells: dict[tuple[Any, ...], Measures] = {}
    row: Any  # with columns named at run time
    for row in HourlyRollup.objects.filter(hour__gte=start, hour__lt=start + DAY).order_by().values():
        cells.setdefault(tuple(row[d] for d in DIMENSIONS), Measures()).add_sums(row)
    _replace(DailyRollup, {"day": day}, cells, generation)


def _replace(model: type[Rollup], when: dict[str, Any], cells: dict[tuple[Any, ...], Measures], generation: int) -> None:
    """Reading is done before: on SQLite a transaction shuts out every other writer, so it only deletes and inserts."""
    if not cells and not model._default_manager.filter(**when).exists():
        return
    rows = [model(**when, **dict(zip(DIMENSIONS, key, strict=True)), **cell.columns()) for key, cell in cells.items()]
    with transaction.atomic():
        if RollupState.objects.select_for_update().get(pk=1).generation != generation:
            raise Superseded
        model._default_manager.filter(**when).delete()
        model._default_manager.bulk_create(rows, batch_size=500)


def _claim() -> int:
    with transaction.atomic():
        state = RollupState.objects.select_for_update().get(pk=1)
        state.generation += 1
        state.save(update_fields=["generation"])
    return state.generation


def _pending() -> list[int]:
    """Unix hours with an open request now; read through the index of open rows."""
    arrived = RequestLog.objects.filter(state="open").order_by().values_list("created_at", flat=True)
    return sorted({int(floor_hour(moment).timestamp()) // 3600 for moment in arrived.iterator()})


def _from_unix(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * 3600, UTC)
