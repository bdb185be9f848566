"""Watch the canary: what its requests did against those of the active version since it began, and back at once when it does worse."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db.models import Count, F, FloatField, Q, Sum
from django.db.models.functions import Cast
from django.utils import timezone

from llm_gateway.core.outcomes import RequestState
from llm_gateway.models import PolicyVersion, RequestLog, trail
from llm_gateway.policies.guards import Seen, breach

from .rollback_policy import end_canary

log = logging.getLogger("cogo.policies")
# Older requests have ended and are counted once and for all; younger ones are counted anew each time.
SETTLED = timedelta(minutes=10)
_ENDED = (RequestState.OK, RequestState.PARTIAL, RequestState.FAILED)
_SAMPLE = 2000


def guard_policies(now: datetime | None = None) -> str | None:
    """Why the canary was rolled back; ``None``: there is none, or it does well enough."""
    now = now or timezone.now()
    states = PolicyVersion.State
    canary = PolicyVersion.objects.filter(state=states.ACTIVE, canary_share__isnull=False).first()
    active = PolicyVersion.objects.filter(state=states.ACTIVE, canary_share=None, alias="").first()
    if canary is None or active is None or canary.activated_at is None:
        return None
    watch = canary.watch if isinstance(canary.watch, dict) and canary.watch.get("base_version") == active.number else {}
    limit = watch.get("limit_ms") or _limit(active, canary.guards.get("p95_factor"))
    start = datetime.fromisoformat(watch["until"]) if watch.get("until") else canary.activated_at
    edge = max(start, now - SETTLED) if limit is not None else start
    sums = {}
    for name, version in (("base", active), ("canary", canary)):
        before = msgspec.convert(watch.get(name) or {}, Seen)
        folded = before.plus(_seen(version.number, start, edge, limit)) if edge > start else before
        sums[name] = (folded, folded.plus(_seen(version.number, edge, now, limit)))
    why = breach(sums["base"][1], sums["canary"][1], canary.guards)
    kept: dict[str, Any] = {"base_version": active.number, "limit_ms": limit, "until": edge.isoformat(), "seen_at": now.isoformat()}
    kept |= {name: msgspec.to_builtins(folded) for name, (folded, _) in sums.items()}
    kept |= {f"{name}_now": msgspec.to_builtins(total) for name, (_, total) in sums.items()}
    PolicyVersion.objects.filter(pk=canary.pk, canary_share__isnull=False).update(watch=kept)
    if not why:
        return None
    end_canary(canary, via="guard", note=why)
    trail.record("rolled back", canary, detail=why, who=trail.Actor(name="guard"))
    log.error("a canary was rolled back", extra={"version": canary.number, "reason": why})
    return why


def _limit(active: PolicyVersion, factor: float | None) -> float | None:
    """The latency that one in twenty answers of the active version passes, times ``factor``; ``None`` until there are enough."""
    if factor is None:
        return None
    since = timezone.now() - timedelta(days=1)
    rows = RequestLog.objects.filter(created_at__gte=since, policy=active.number, state=RequestState.OK, latency_ms__isnull=False).order_by(
        "-id"
    )
    times = sorted(time for time in rows.values_list("latency_ms", flat=True)[:_SAMPLE] if time is not None)
    return times[int(len(times) * 0.95)] * factor if len(times) >= 200 else None


def _seen(number: int, since: datetime, until: datetime, limit: float | None) -> Seen:
    cost = Cast(F("cost_nusd"), FloatField())
    found = RequestLog.objects.filter(policy=number, created_at__gte=since, created_at__lt=until, state__in=_ENDED).aggregate(
        requests=Count("pk"),
        ok=Count("pk", filter=Q(state=RequestState.OK)),
        answers=Count("pk", filter=Q(state=RequestState.OK, latency_ms__isnull=False))
        if limit is not None
        else Count("pk", filter=Q(pk=None)),
        slow=Count("pk", filter=Q(state=RequestState.OK, latency_ms__gt=limit)) if limit is not None else Count("pk", filter=Q(pk=None)),
        priced=Count("cost_nusd"),
        cost=Sum(cost),
        cost_squares=Sum(cost * cost),
    )
    return Seen(**{name: value or 0 for name, value in found.items()})
