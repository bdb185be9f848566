"""What the answer cache is worth: how often it answered, and what those answers would have cost."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDay

from llm_gateway.core.caching import BYPASS, MISS, SERVED
from llm_gateway.core.money import NUSD
from llm_gateway.core.outcomes import RequestState
from llm_gateway.models import RequestLog

from . import reports
from ._base import Asked, Card, Chart, Column, Series, Sheet
from ._money import money
from ._names import TITLES, Names

_COLUMN = {"day": "day", "alias": "asked_model", "model": "model__name", "team_id": "team_id", "client_key_id": "client_key_id"}


class Cache:
    """Read from the log: the name that was asked for, which an alias is, stands in no rollup."""

    name = "cache"
    title = "Answer cache"
    icon = "cached"
    position = 50
    summary = "Requests that wanted the cache: how many it answered, and what those answers would have cost at the prices of then."
    dated = True
    groups = ("day", "alias", "model", "team_id", "client_key_id")
    default_groups = ("alias",)
    option_title = ""

    def options(self) -> tuple[tuple[str, str], ...]:
        return ()

    def build(self, asked: Asked) -> Sheet:
        rows = RequestLog.objects.filter(asked.filters.log(), created_at__gte=asked.start, created_at__lt=asked.end, cache__isnull=False)
        rows = rows.exclude(state=RequestState.OPEN).annotate(day=TruncDay("created_at", tzinfo=ZoneInfo(asked.zone)))
        cells = {_key(asked.group_by, row): _figures(row) for row in _summed(rows, asked.group_by)}
        total = _figures(next(iter(_summed(rows, ())), _NOTHING))
        names = Names(asked.group_by, cells)
        ordered = sorted(cells.items(), key=lambda one: (-one[1][0], tuple(map(str, one[0]))))
        asked_for, hits, _, _, share, saved = total
        return Sheet(
            columns=(*(Column(name, TITLES[name]) for name in asked.group_by), *_COLUMNS),
            rows=tuple((*names.of(key), *figures) for key, figures in ordered),
            totals=(*("Total" if i == 0 else "" for i in range(len(asked.group_by))), *total) if cells else (),
            cards=(
                Card("Hit rate", "none asked" if share is None else f"{share:.1%}", f"{hits:,} of {asked_for:,} that could be"),
                Card("Saved", money(saved), "at the prices of then", "good" if saved else ""),
            ),
            chart=_chart(asked, rows),
            notes=(
                "A miss found no kept answer; passed by are requests whose answer is never kept (docs/cache.md says which).",
                "An answer whose usage is unknown counts as a hit that saved nothing.",
            ),
            empty=("Nobody wanted the cache", "It is off until a key, an alias, the gateway or a request's header switches it on."),
        )


_COLUMNS = (
    Column("wanted", "Hits and misses", "count"),
    Column("hits", "Hits", "count"),
    Column("misses", "Misses", "count"),
    Column("passed_by", "Passed by", "count"),
    Column("hit_rate", "Hit rate", "share", absent=""),
    Column("saved_usd", "Saved (USD)", "usd"),
)
_SUMS: dict[str, Any] = {
    "hits": Count("pk", filter=Q(cache__in=SERVED)),
    "misses": Count("pk", filter=Q(cache=MISS)),
    "passed_by": Count("pk", filter=Q(cache=BYPASS)),
    "saved": Sum("saved_nusd"),
}
_NOTHING: dict[str, Any] = {"hits": 0, "misses": 0, "passed_by": 0, "saved": 0}


def _summed(rows: Any, groups: tuple[str, ...]) -> list[dict[str, Any]]:
    if not groups:
        return [rows.aggregate(**_SUMS)]
    keys = {f"by_{name}": F(_COLUMN[name]) for name in groups}
    return list(rows.order_by().values(**keys).annotate(**_SUMS))


def _key(groups: tuple[str, ...], row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(value.date() if name == "day" else value for name in groups for value in [row[f"by_{name}"]])


def _figures(row: dict[str, Any]) -> tuple[Any, ...]:
    hits, misses = row["hits"] or 0, row["misses"] or 0
    wanted = hits + misses
    return (wanted, hits, misses, row["passed_by"] or 0, hits / wanted if wanted else None, int(row["saved"] or 0))


def _chart(asked: Asked, rows: Any) -> Chart:
    by_day = {_key(("day",), row)[0]: _figures(row) for row in _summed(rows, ("day",))}
    return Chart(
        title="Saved per day",
        labels=tuple(f"{day:%b} {day.day}" for day in asked.days),
        series=(Series("saved", tuple(by_day[day][5] / NUSD if day in by_day else 0.0 for day in asked.days)),),
        unit="USD",
    )


reports.add(Cache.name, Cache())
