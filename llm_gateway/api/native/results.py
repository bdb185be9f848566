"""GET ``performance/results``: request rows with their attempts, newest first. A key sees its own team's, staff see all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.core.usage import COMPLETION, PROMPT, Usage, UsageSource
from llm_gateway.models import Attempt, RequestLog

from .auth import HasScope
from .host import gateway
from .openapi import documented
from .render import cost_body, usage_body
from .shapes import AttemptBody, ResultBody, Results, UsageBody
from .views import AsyncAPIView

FILTERS = {
    "model": "Name of the model that served.",
    "provider": "Its provider.",
    "strategy": "The strategy that chose.",
    "client": "Name or public id of the client key.",
    "state": "ok, partial, failed, client_cancelled, rejected, orphaned, replayed or open.",
    "kind": "generate, analyze, test, chat or embeddings.",
    "from": "From this ISO 8601 date or time on (UTC where it names no zone).",
    "to": "Before this ISO 8601 date or time.",
    "limit": "Rows on a page, 1 to 200; 50 when absent.",
    "cursor": "Where the next page begins: `next_cursor` of the page before.",
}
PAGE, LARGEST_PAGE = 50, 200


class ResultsView(AsyncAPIView):
    """Request rows with the attempts of each, newest first. A client key sees its own team's rows only."""

    permission_classes = (HasScope("read"),)

    @documented(
        "performance_results",
        "Request rows",
        answer=Results,
        parameters=[OpenApiParameter(name, int if name == "limit" else str, description=text) for name, text in FILTERS.items()],
    )
    async def get(self, request: Request) -> Results:
        asked = read_filters(request.query_params)
        limit = _limit(asked.pop("limit", None))
        rows = [row async for row in selected(self.identity, asked).select_related("team", "client_key", "model")[: limit + 1]]
        page = rows[:limit]
        attempts: dict[UUID, list[AttemptBody]] = {}
        snapshot = gateway().catalog.snapshot()
        names = {(snapshot.providers[m.provider_id].slug, m.upstream_id): m.name for m in snapshot.models.values()}
        async for attempt in Attempt.objects.filter(request_id__in=[row.pk for row in page]).order_by("request_id", "number"):
            attempts.setdefault(attempt.request_id, []).append(_attempt(attempt, names))
        cursor = str(page[-1].pk) if len(rows) > limit else None
        return Results(
            results=[_row(row, attempts.get(row.pk, [])) for row in page],
            next=_next(request, cursor) if cursor else None,
            next_cursor=cursor,
        )


def read_filters(params: Any) -> dict[str, str]:
    """The filters of a query string; an unknown or repeated one is refused, never ignored."""
    found: dict[str, str] = {}
    for name in params:
        if name == "format":  # which page to draw, not which rows
            continue
        values = params.getlist(name)
        if name not in FILTERS:
            raise InvalidRequest(f"There is no filter `{name[:40]}`; use {', '.join(FILTERS)}.", param=name[:40])
        if len(values) != 1 or "\x00" in values[0] or len(values[0]) > 200:
            raise InvalidRequest(f"`{name}` takes one value of at most 200 characters.", param=name)
        if values[0] != "":
            found[name] = values[0]
    return found


def selected(identity: Identity, asked: Mapping[str, str]) -> QuerySet[RequestLog]:
    """The rows ``identity`` may see of what it asked for, newest first."""
    rows = RequestLog.objects.order_by("-id")
    if identity.client_key_id is not None:
        rows = rows.filter(team_id=identity.team_id)
    plain = {"model": "model__name", "provider": "provider_slug", "strategy": "strategy", "state": "state", "kind": "kind"}
    for name, value in asked.items():
        match name:
            case "client":
                rows = rows.filter(Q(client_key__name=value) | Q(client_key__public_id=value))
            case "from":
                rows = rows.filter(created_at__gte=_moment(name, value))
            case "to":
                rows = rows.filter(created_at__lt=_moment(name, value))
            case "cursor":
                rows = rows.filter(pk__lt=_uuid(value))
            case _:
                rows = rows.filter(Q((plain[name], value)))
    return rows


def _moment(name: str, value: str) -> datetime:
    try:
        found = parse_datetime(value)
        if found is None and (day := parse_date(value)) is not None:
            found = datetime.combine(day, time.min)
        if found is not None:
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(f"`{name}` has to be an ISO 8601 date or time, such as 2026-11-22T10:00:00Z.", param=name)


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise InvalidRequest("`cursor` is not one this address has given; begin again without it.", param="cursor") from None


def _limit(value: str | None) -> int:
    if value is None:
        return PAGE
    if not (value.isdecimal() and len(value) < 6 and 1 <= int(value) <= LARGEST_PAGE):
        raise InvalidRequest(f"`limit` has to be a whole number from 1 to {LARGEST_PAGE}.", param="limit")
    return int(value)


def _next(request: Request, cursor: str) -> str:
    params = request._request.GET.copy()
    params["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{params.urlencode()}")


def _row(row: RequestLog, attempts: list[AttemptBody]) -> ResultBody:
    return ResultBody(
        id=str(row.pk),
        created_at=row.created_at,
        finished_at=row.finished_at,
        state=row.state,
        kind=row.kind,
        dialect=row.dialect,
        team=row.team.name,
        client=row.client_key.name if row.client_key else None,
        asked_model=row.asked_model,
        model=row.model.name if row.model else None,
        served_model=row.served_model,
        provider=row.provider_slug,
        strategy=row.strategy,
        stream=row.stream,
        simulated=row.simulated,
        status=row.http_status,
        error_code=row.error_code,
        finish_reason=row.finish_reason,
        usage=_usage(row),
        cost=cost_body(row.cost_nusd),
        cache=row.cache,
        saved=cost_body(row.saved_nusd),
        latency_ms=row.latency_ms,
        ttft_ms=row.ttft_ms,
        decision=row.decision,
        metadata=row.metadata,
        attempts=attempts,
    )


def _usage(row: RequestLog) -> UsageBody | None:
    if not row.usage_source:
        return None
    return usage_body(
        [
            Usage(
                **{name: getattr(row, name) for name in (*PROMPT, *COMPLETION, "reasoning_tokens")},
                source=UsageSource(row.usage_source),
            )
        ]
    )


def _attempt(row: Attempt, names: Mapping[tuple[str, str], str]) -> AttemptBody:
    return AttemptBody(
        provider=row.provider_slug,
        model=names.get((row.provider_slug, row.upstream_id), row.upstream_id),
        outcome=row.outcome,
        status=row.http_status,
        latency_ms=row.latency_ms,
        error=row.error_class or None,
    )
