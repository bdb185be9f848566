"""The request log summed by the database: what rollups store and what reports read of the part that is not rolled up yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db.models import Case, CharField, Count, F, FloatField, Func, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Cast, Coalesce
from typing_extensions import override

from llm_gateway.core.caching import SERVED
from llm_gateway.core.outcomes import RequestState
from llm_gateway.core.usage import PROMPT
from llm_gateway.models import LanguageModel, LedgerEntry, RequestLog

from .histogram import TOP, bucket, of
from .measures import BANDS, TOKENS, Measures
from .models import LIVE

Cell = tuple[datetime, tuple[Any, ...], Measures]
_WHO = ("team_id", "client_key_id", "provider_slug", "model_id", "served_model", "strategy", "tag", "kind", "simulated", "origin")


class HourText(Func):
    """``2026-11-18 10`` of a time, in UTC. On SQLite Django's own truncation is a Python call for every row."""

    output_field = CharField()

    @override
    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="SUBSTR(%(expressions)s, 1, 13)", **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="TO_CHAR(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24')", **extra)


class Bucket(Func):
    """The bucket of :mod:`analytics.histogram` that whole milliseconds fall into, as a tree of comparisons: no database has to know
    logarithms, and none can round them differently."""

    output_field = IntegerField()

    @override
    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # type: ignore[override]
        column, params = compiler.compile(self.source_expressions[0])
        assert not params
        return _tree(column, _edges()), []


@lru_cache(maxsize=1)
def _edges() -> tuple[tuple[int, int], ...]:
    """(least milliseconds, bucket), ascending."""
    found, at = [(0, 0)], 1
    while found[-1][1] < TOP:
        low, high = at, at * 2
        step = bucket(at) if bucket(at) > found[-1][1] else found[-1][1] + 1
        while bucket(high) < step:
            high *= 2
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if bucket(middle) >= step else (middle + 1, high)
        found.append((low, bucket(low)))
        at = low
    return tuple(found)


@lru_cache(maxsize=8)
def _tree(column: str, edges: tuple[tuple[int, int], ...]) -> str:
    if len(edges) == 1:
        return str(edges[0][1])
    half = len(edges) // 2
    return f"CASE WHEN {column} < {edges[half][0]} THEN {_tree(column, edges[:half])} ELSE {_tree(column, edges[half:])} END"


def cells(rows: QuerySet[RequestLog], adjustments: QuerySet[LedgerEntry], *, times: bool = True, bands: bool = True) -> Iterator[Cell]:
    """(hour, dimensions, measures) of finished requests and of corrections by the hour they were booked. A combination may come more than
    once. ``times``: with histograms; ``bands``: with long prompts apart."""
    rows = rows.exclude(state=RequestState.OPEN).order_by()
    models = dict(LanguageModel.objects.values_list("pk", "name"))
    hour = HourText("created_at")
    for row in rows.values(*_WHO, "state", "usage_source", hour=hour).annotate(**_SUMS):
        yield (*_key(row, models), _measures(row))
    if bands:
        yield from _bands(rows.annotate(prompt=_prompt()).filter(prompt__gte=BANDS[0]), hour, models)
    if times:
        answered = rows.filter(_OK)
        for name in ("latency", "ttft"):
            known = answered.filter(**{f"{name}_ms__isnull": False}).annotate(bucket=Bucket(f"{name}_ms"))
            for row in known.values(*_WHO, "bucket", hour=hour).annotate(count=Count("*")):
                histogram: dict[str, Any] = {name: of(row["bucket"], row["count"])}
                yield (*_key(row, models), Measures(**histogram))
    yield from _corrections(adjustments, hour)


_COSTLY = Q(cost_nusd=None) & ~Q(state__in=(RequestState.REJECTED, RequestState.REPLAYED)) & ~Q(state=RequestState.FAILED, attempt_count=0)
_CACHED = Q(cache__in=SERVED)
# Answers that somebody was asked for: the cache is quick whoever made them.
_OK = Q(state=RequestState.OK) & (Q(cache=None) | ~_CACHED)
_SUMS: dict[str, Any] = {
    "n": Count("*"),
    "unknown": Count("pk", filter=_COSTLY),
    "cached": Count("pk", filter=_CACHED),
    "saved": Sum("saved_nusd"),
    "attempts": Sum("attempt_count"),
    "cost": Sum("cost_nusd"),
    **{f"sum_{name}": Sum(name) for name in TOKENS},
    "latencies": Count("latency_ms", filter=_OK),
    "latency": Sum("latency_ms", filter=_OK),
    "squares": Sum(Cast("latency_ms", FloatField()) * Cast("latency_ms", FloatField()), filter=_OK),
    "ttfts": Count("ttft_ms", filter=_OK),
    "ttft": Sum("ttft_ms", filter=_OK),
}
_STATE = {"client_cancelled": "cancelled"}


def _measures(row: dict[str, Any]) -> Measures:
    estimated = row["usage_source"] == "estimated"
    cost, state = int(row["cost"] or 0), row["state"]
    counts: dict[str, Any] = {name: int(row[f"sum_{name}"] or 0) for name in TOKENS}
    return Measures(
        requests=row["n"],
        attempts=row["attempts"],
        estimated_requests=row["n"] if estimated else 0,
        unknown_cost_requests=row["unknown"],
        cost_nusd=cost,
        estimated_cost_nusd=cost if estimated else 0,
        latency_count=row["latencies"],
        latency_sum_ms=int(row["latency"] or 0),
        latency_square_sum=row["squares"] or 0.0,
        ttft_count=row["ttfts"],
        ttft_sum_ms=int(row["ttft"] or 0),
        cached=row["cached"],
        saved_nusd=int(row["saved"] or 0),
        **{**counts, _STATE.get(state, state): row["n"] - row["cached"]},
    )


def _prompt() -> Any:
    total: Any = Coalesce(F(PROMPT[0]), 0)
    for name in PROMPT[1:]:
        total = total + Coalesce(F(name), 0)
    return total


def _bands(rows: QuerySet[RequestLog], hour: Any, models: dict[int, str]) -> Iterator[Cell]:
    """Long prompts apart: some models charge more for the whole of them."""
    band = Case(*(When(prompt__gte=low, then=Value(low)) for low in reversed(BANDS)), output_field=IntegerField())
    sums = {f"sum_{name}": Sum(name) for name in TOKENS}
    for row in rows.values(*_WHO, band=band, hour=hour).annotate(n=Count("*"), **sums):
        counts = [row["n"], *(int(row[f"sum_{name}"] or 0) for name in TOKENS)]
        yield (*_key(row, models), Measures(bands={row["band"]: counts}))


def _corrections(entries: QuerySet[LedgerEntry], hour: Any) -> Iterator[Cell]:
    """Of a request's own cost; those of budgets are claims on the same money."""
    who = {f"the_{name}": F(f"request__{name}") for name in _WHO}
    model = F("request__model__name")
    rows = entries.filter(LedgerEntry.OWN_COST, state="posted").order_by()
    row: Any  # with columns named just above
    for row in rows.values(the_name=model, hour=hour, **who).annotate(n=Count("*"), amount=Sum("amount_nusd")):
        known = {name: row[f"the_{name}"] for name in _WHO}
        key = _key({**known, "hour": row["hour"]}, {known["model_id"]: row["the_name"]})
        yield (*key, Measures(adjustments=row["n"], adjustments_nusd=int(row["amount"])))


def _key(row: dict[str, Any], models: dict[Any, str]) -> tuple[datetime, tuple[Any, ...]]:
    """Values in the order of :data:`analytics.models.DIMENSIONS`. A correction may outlive its request; then they are empty."""
    hour = datetime.fromisoformat(f"{row['hour']}:00").replace(tzinfo=UTC)
    model = models.get(row["model_id"]) or row["served_model"] or ""
    known: Sequence[Any] = (
        row["team_id"] or 0,
        row["client_key_id"] or 0,
        row["provider_slug"] or "",
        model,
        row["strategy"] or "",
        row["tag"] or "",
        row["kind"] or "",
        bool(row["simulated"]),
        row["origin"] or LIVE,
    )
    return hour, tuple(known)
