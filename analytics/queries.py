"""All report SQL. Reports read whole days and hours from the rollups and the rest from the log, so their numbers are of this moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from llm_gateway.models import LedgerEntry, RequestLog

from . import aggregate, days, rollups
from .histogram import unpacked
from .measures import Measures
from .models import COUNTS, DIMENSIONS, LIVE, DailyRollup, HourlyRollup, RollupState
from .rollups import DAY, HOUR, floor_hour

# What a report may be grouped by: the dimensions, and time.
GROUPS = ("day", "hour", *DIMENSIONS)


# How old the figures of the last minutes may be, and how far back those may reach: with the rollups a run behind, an hour.
TAIL_FRESH_S = 5
TAIL = timedelta(hours=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """``None``: any. Names as the rollups keep them; ``simulated``: only, or without, simulated providers."""

    team_id: int | None = None
    client_key_id: int | None = None
    provider: str | None = None
    model: str | None = None
    strategy: str | None = None
    tag: str | None = None
    kind: str | None = None
    simulated: bool | None = None
    origin: str | None = None

    def given(self) -> dict[str, Any]:
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}

    def admit(self, known: Mapping[str, Any]) -> bool:
        return all(known[name] == wanted for name, wanted in self.given().items())

    def rollup(self) -> Q:
        return Q(**self.given())

    def log(self) -> Q:
        given = self.given()
        found = Q()
        if "client_key_id" in given:
            staff = given.pop("client_key_id")
            found &= Q(client_key_id=staff) if staff else Q(client_key_id=None)
        if "model" in given:
            model = given.pop("model")
            found &= Q(model__name=model) | Q(model__name=None, served_model=model)
        if "provider" in given:
            given["provider_slug"] = given.pop("provider")
        if given.get("origin") == LIVE:
            del given["origin"]
            found &= Q(origin=LIVE) | Q(origin=None)
        return found & Q(**given)

    def ledger(self) -> Q:
        """The corrections of the requests that :meth:`log` finds."""
        return _behind(self.log())


ANYTHING = Filters()
Row = tuple[tuple[Any, ...], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where a time range is read from; together the parts cover it exactly once."""

    days: tuple[tuple[date, date], ...] = ()
    hours: tuple[tuple[datetime, datetime], ...] = ()
    log: tuple[tuple[datetime, datetime], ...] = field(default=())


def plan(start: datetime, end: datetime, *, hourly: bool = False) -> Plan:
    """``start`` inclusive, ``end`` exclusive. ``hourly``: never read whole days, because hours are asked for."""
    state = RollupState.objects.filter(pk=1).first()
    low = _ceil(start, HOUR)
    high = min(floor_hour(end), state.until if state else low)
    if state is None or low >= high:
        return Plan(log=((start, end),))
    stale = sorted(at for hour in state.pending if low <= (at := datetime.fromtimestamp(hour * 3600, UTC)) < high)
    log = [(start, low), (high, end), *((hour, hour + HOUR) for hour in stale)]
    whole = list(_without(low, high, [(hour, hour + HOUR) for hour in stale]))
    days: list[tuple[date, date]] = []
    hours: list[tuple[datetime, datetime]] = []
    for begin, until in whole:
        first, last = _ceil(begin, DAY), floor_hour(until).replace(hour=0)
        if hourly or first >= last:
            hours.append((begin, until))
            continue
        days.append((first.date(), last.date()))
        hours += [(begin, first), (last, until)]
    return Plan(days=tuple(days), hours=tuple(h for h in hours if h[0] < h[1]), log=tuple(r for r in log if r[0] < r[1]))


def spend(
    group_by: Sequence[str],
    start: datetime,
    end: datetime,
    filters: Filters = ANYTHING,
    *,
    times: bool = False,
    bands: bool = False,
    zone: str = days.UTC_NAME,
) -> dict[tuple[Any, ...], Measures]:
    """Measures per combination of the named groups, in no order. ``times``: with the histograms, which costs more; without them percentiles
    are ``None``. ``bands``: with long prompts apart. ``day`` is a date of ``zone``, ``hour`` a UTC datetime."""
    if zone != days.UTC_NAME and "day" in group_by:
        return _by_local_day(group_by, zone, spend(_hourly(group_by), start, end, filters, times=times, bands=bands))
    unknown = [name for name in group_by if name not in GROUPS]
    if unknown:
        raise ValueError(f"cannot group by {', '.join(unknown)}; choose from {', '.join(GROUPS)}")
    parts = plan(start, end, hourly="hour" in group_by)
    cells: dict[tuple[Any, ...], Measures] = {}
    for key, row in _rolled(parts, group_by, filters, bands):
        cells.setdefault(key, Measures()).add_sums(row)
    if times:
        for key, (latency, ttft) in _times(parts, group_by, filters).items():
            cells[key].merge(latency, ttft)
    now = timezone.now()
    for begin, until in parts.log:
        if until >= now and floor_hour(begin) == begin and begin >= now - TAIL:
            for known, columns in _tail(begin):
                if filters.admit(known):
                    cells.setdefault(tuple(known[name] for name in group_by), Measures()).add_sums(columns)
            continue
        when = {"created_at__gte": begin, "created_at__lt": until}
        rows = RequestLog.objects.filter(filters.log(), **when)
        entries = LedgerEntry.objects.filter(filters.ledger(), **when)
        for hour, key, cell in aggregate.cells(rows, entries, times=times, bands=bands):
            known = _known(hour, key)
            cells.setdefault(tuple(known[name] for name in group_by), Measures()).add(cell)
    return cells


def _hourly(group_by: Sequence[str]) -> tuple[str, ...]:
    return tuple("hour" if name == "day" else name for name in group_by)


def _by_local_day(group_by: Sequence[str], zone: str, cells: Mapping[tuple[Any, ...], Measures]) -> dict[tuple[Any, ...], Measures]:
    place = list(group_by).index("day")
    of = {hour: days.of_hour(hour, zone) for hour in {key[place] for key in cells}}
    found: dict[tuple[Any, ...], Measures] = {}
    for key, cell in cells.items():
        found.setdefault((*key[:place], of[key[place]], *key[place + 1 :]), Measures()).add(cell)
    return found


def totals(start: datetime, end: datetime, filters: Filters = ANYTHING, *, times: bool = False) -> Measures:
    return spend((), start, end, filters, times=times).get((), Measures())


def simulated_requests(start: datetime, end: datetime) -> int:
    return totals(start, end, Filters(simulated=True)).requests


def choices(dimension: str, start: datetime, end: datetime) -> list[Any]:
    """The values of a dimension that occur in the rollups of a time range, sorted."""
    rows = DailyRollup.objects.filter(day__gte=start.date(), day__lte=end.date()).order_by()
    return sorted(value for value in rows.values_list(dimension, flat=True).distinct() if value not in ("", None))


def _rolled(parts: Plan, group_by: Sequence[str], filters: Filters, bands: bool) -> Iterator[Row]:
    for rows, names in _tables(parts, group_by, filters):
        for row in _sums(rows, names, bands):
            yield _key(group_by, row), row


def _tables(parts: Plan, group_by: Sequence[str], filters: Filters) -> Iterator[tuple[QuerySet[Any], list[str]]]:
    """Rollup rows, and the columns that make up the groups."""
    if parts.days:
        yield DailyRollup.objects.filter(filters.rollup(), _any("day", parts.days)).order_by(), list(group_by)
    if parts.hours:
        names = list(dict.fromkeys("hour" if name == "day" else name for name in group_by))
        yield HourlyRollup.objects.filter(filters.rollup(), _any("hour", parts.hours)).order_by(), names


def _key(group_by: Sequence[str], row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row["hour"].date() if name == "day" and "day" not in row else row[name] for name in group_by)


def _times(parts: Plan, group_by: Sequence[str], filters: Filters) -> dict[tuple[Any, ...], list[int]]:
    """The two histograms of each group. Tens of thousands of rows: nothing here is done for each but two additions."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for rows, names in _tables(parts, group_by, filters):
        sums: dict[tuple[Any, ...], list[int]] = {}
        for *values, latency, ttft in rows.filter(latency_count__gt=0).values_list(*names, "latency_histogram", "ttft_histogram"):
            total = sums.setdefault(tuple(values), [0, 0])
            total[0] += unpacked(latency)
            total[1] += unpacked(ttft)
        for values, (latency, ttft) in sums.items():
            total = found.setdefault(_key(group_by, dict(zip(names, values, strict=True))), [0, 0])
            total[0] += latency
            total[1] += ttft
    return found


def _sums(rows: QuerySet[Any], names: list[str], bands: bool) -> Iterator[Mapping[str, Any]]:
    # A sum may not be named like a column it groups over, so the sums get names of their own and lose them again.
    sums = {f"sum_{name}": Sum(name) for name in (*COUNTS, "latency_square_sum")}
    # ``values()`` without names would be all of them.
    for row in rows.values(*names).annotate(**sums) if names else [rows.aggregate(**sums)]:
        yield {name.removeprefix("sum_"): value for name, value in row.items()}
    if bands:
        for row in rows.filter(bands__isnull=False).values_list(*names, "bands"):
            yield {**_NONE, **dict(zip(names, row[:-1], strict=True)), "bands": row[-1]}


_NONE = dict.fromkeys(COUNTS, 0)


def _known(hour: datetime, key: tuple[Any, ...]) -> dict[str, Any]:
    """What a cell can be grouped by."""
    return dict(zip(GROUPS, (hour.date(), hour, *key), strict=True))


def _tail(begin: datetime) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Everything since ``begin`` that is not rolled up yet, in finest cells. One page asks for it many times, and under load it is most of
    an hour's log, so it is read once in a few seconds."""
    name = f"analytics-tail-of-origins-{int(begin.timestamp())}"
    known = cache.get(name)
    if not isinstance(known, list):
        found = rollups.read(begin, timezone.now() + DAY)
        known = [(_known(hour, key), cell.columns()) for (hour, key), cell in found.items()]
        cache.set(name, known, TAIL_FRESH_S)
    return known


def _behind(found: Q) -> Q:
    """A condition on requests as one on what refers to them."""
    leaves: list[Any] = list(found.children)
    children = [_behind(one) if isinstance(one, Q) else (f"request__{one[0]}", one[1]) for one in leaves]
    return Q(*children, _connector=found.connector, _negated=found.negated)


def _any(column: str, ranges: Iterable[tuple[Any, Any]]) -> Q:
    found = Q()
    for begin, until in ranges:
        found |= Q(**{f"{column}__gte": begin, f"{column}__lt": until})
    return found


def _without(low: datetime, high: datetime, holes: Sequence[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, datetime]]:
    for begin, until in holes:
        if low < begin:
            yield low, begin
        low = until
    if low < high:
        yield low, high


def _ceil(moment: datetime, unit: timedelta) -> datetime:
    floor = floor_hour(moment)
    if unit == DAY:
        floor = floor.replace(hour=0)
    return floor if floor == moment else floor + unit


def today(now: datetime | None = None) -> datetime:
    """The first moment of the UTC day."""
    return floor_hour(now or timezone.now()).replace(hour=0)
