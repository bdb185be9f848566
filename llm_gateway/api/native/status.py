"""GET ``status``: every model, whether it can answer, and how it did in the last hour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from asgiref.sync import sync_to_async
from rest_framework.request import Request

from llm_gateway.core.catalog import Credential, Lifecycle, ModelInfo, Snapshot
from llm_gateway.core.ids import uuid7
from llm_gateway.models import Attempt, ProviderKey
from llm_gateway.policies.standing import Lately, Standing
from llm_gateway.telemetry import lately

from .auth import HasScope
from .host import gateway
from .openapi import documented
from .shapes import BreakerBody, ModelStatus, RollingBody, Status
from .views import AsyncAPIView

WINDOW = timedelta(hours=1)
# The newest calls of the window; enough for a 95th percentile of the busiest model.
MOST_CALLS = 5000

_CLOSED: Mapping[str, Any] = {"state": "closed", "reason": "", "wait_s": None}
_STATES = ("valid", "unchecked", "rate_limited", "unreachable", "out_of_credit", "no_permission", "invalid")
Availability = Literal["available", "degraded", "unavailable"]
Calls = Mapping[tuple[int, str], Sequence[tuple[str, int | None]]]


class StatusView(AsyncAPIView):
    """Every model: availability, lifecycle, breaker, key state, last check and the last hour; `overall_status` sums it up."""

    permission_classes = (HasScope("read"),)

    @documented("status", "State of every model", answer=Status)
    async def get(self, request: Request) -> Status:
        running = gateway()
        snapshot = running.catalog.snapshot()
        checked: dict[int, datetime] = {}
        async for provider_id, at in ProviderKey.objects.filter(enabled=True, checked_at__isnull=False).values_list(
            "provider_id", "checked_at"
        ):
            assert at is not None
            checked[provider_id] = max(at, checked.get(provider_id, at))
        recent = await sync_to_async(lately.by_model)()
        return status_of(snapshot, running.health_view(), checked, await _last_hour(datetime.now(UTC)), recent)


async def _last_hour(now: datetime) -> Calls:
    since = UUID(int=uuid7(int((now - WINDOW).timestamp() * 1000), bytes(10)).int & ~((1 << 80) - 1))
    found: dict[tuple[int, str], list[tuple[str, int | None]]] = {}
    # Request ids are in order of time, so the index of (request, number) finds the window.
    rows = Attempt.objects.filter(request_id__gte=since).order_by("-request_id", "-number")
    async for provider_id, upstream_id, outcome, latency in rows.values_list("provider_id", "upstream_id", "outcome", "latency_ms")[
        :MOST_CALLS
    ]:
        found.setdefault((provider_id, upstream_id), []).append((outcome, latency))
    return found


def status_of(
    snapshot: Snapshot,
    health: Mapping[tuple[int, str], Mapping[str, Any]],
    checked: Mapping[int, datetime],
    calls: Calls,
    recent: lately.Found = MappingProxyType({}),
) -> Status:
    models = [
        _model(snapshot, model, health=health, checked=checked, calls=calls, recent=recent)
        for model in sorted((*snapshot.models.values(), *_only_patterns(snapshot)), key=lambda m: (m.provider_id, m.position, m.name))
        if model.provider_id in snapshot.providers
    ]
    return Status(overall_status=_overall(models), active_strategy=snapshot.active_strategy, models=models)


def _only_patterns(snapshot: Snapshot) -> list[ModelInfo]:
    return [model for model in snapshot.patterns if model.name not in snapshot.models]


def _model(
    snapshot: Snapshot,
    model: ModelInfo,
    *,
    health: Mapping[tuple[int, str], Mapping[str, Any]],
    checked: Mapping[int, datetime],
    calls: Calls,
    recent: lately.Found,
) -> ModelStatus:
    provider = snapshot.providers[model.provider_id]
    keys = snapshot.credentials.get(provider.id, ())
    usable = [key for key in keys if key.state.routable or provider.ignore_health]
    ids = _upstream_ids(model, calls, health)
    views = {key.id: _worst([health.get((key.id, upstream_id), _CLOSED) for upstream_id in ids]) for key in usable}
    open_ = [view for view in views.values() if view["state"] not in ("closed", "half_open")]
    availability, reason = _availability(model, keys, usable, views, open_)
    now = sum((recent.get((provider.id, upstream_id), Lately()) for upstream_id in ids), Lately())
    if availability == "available" and now.standing is Standing.FAILING:
        # A trickle of failures opens no breaker.
        availability, reason = "degraded", now.words
    shown = _worst(list(views.values())) if availability != "available" else _CLOSED
    return ModelStatus(
        model=model.name,
        provider=provider.slug,
        availability=availability,
        reason=reason,
        lifecycle=model.lifecycle.value,
        successor=model.successor,
        breaker=BreakerBody(state=shown["state"], reason=shown.get("reason") or "", until=_until(shown)),
        key_state=min((key.state.value for key in keys), key=_STATES.index, default="none"),
        last_check=checked.get(provider.id),
        last_hour=rolling([call for upstream_id in ids for call in calls.get((provider.id, upstream_id), ())]),
    )


def _upstream_ids(model: ModelInfo, calls: Calls, health: Mapping[tuple[int, str], Any]) -> list[str]:
    if not model.pattern:
        return [model.upstream_id]
    seen = {name for provider_id, name in calls if provider_id == model.provider_id} | {name for _, name in health}
    return sorted(name for name in seen if fnmatchcase(name, model.upstream_id))


def _availability(
    model: ModelInfo, keys: Sequence[Credential], usable: Sequence[Credential], views: Mapping[int, Any], open_: Sequence[Any]
) -> tuple[Availability, str]:
    if model.lifecycle is Lifecycle.RETIRED:
        return "unavailable", "retired by its provider"
    if not keys:
        return "unavailable", "no provider key"
    if not usable:
        return "unavailable", f"no usable provider key: {', '.join(sorted({key.state.value for key in keys}))}"
    if len(open_) == len(views):
        return "unavailable", _worst(list(views.values())).get("reason") or "resting after failures"
    if open_ or len(usable) < len(keys):
        return "degraded", "some of its keys cannot be used now"
    return "available", ""


def _worst(views: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    order = ("closed", "half_open", "cooling", "open", "suspended", "off")
    return max(views, key=lambda view: order.index(view["state"]) if view["state"] in order else len(order), default=_CLOSED)


def _overall(models: Sequence[ModelStatus]) -> Literal["healthy", "degraded", "down"]:
    """Over what could be asked for: retired models and providers nobody has given a key are no fault."""
    counted = [model for model in models if model.lifecycle != "retired" and model.key_state != "none"]
    if all(model.availability == "unavailable" for model in counted):
        return "down"
    return "healthy" if all(model.availability == "available" for model in counted) else "degraded"


def rolling(calls: Sequence[tuple[str, int | None]]) -> RollingBody:
    """Cancelled calls say nothing about the provider, so they are not counted."""
    judged = [(outcome, latency) for outcome, latency in calls if outcome != "cancelled"]
    times = sorted(latency for outcome, latency in judged if outcome == "ok" and latency is not None)
    good = sum(outcome == "ok" for outcome, _ in judged)
    return RollingBody(
        requests=len(judged),
        success_rate=round(good / len(judged), 4) if judged else None,
        p50_ms=_percentile(times, 0.5),
        p95_ms=_percentile(times, 0.95),
    )


def _percentile(times: Sequence[int], share: float) -> float | None:
    """Nearest rank."""
    return float(times[max(0, math.ceil(share * len(times)) - 1)]) if times else None


def _until(view: Mapping[str, Any]) -> datetime | None:
    wait = view.get("wait_s")
    return None if wait is None else datetime.now(UTC) + timedelta(seconds=wait)
