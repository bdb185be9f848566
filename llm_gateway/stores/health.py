"""Cooldowns and key states across processes: written by the worker that saw the fault, read by all at the next refresh."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from django.db import Error as DatabaseError
from django.db.models import Q

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import Failure
from llm_gateway.core.keys import KeyState
from llm_gateway.models import DeploymentHealth, KeyCheck, ProviderKey
from llm_gateway.policies.health import Effect

log = logging.getLogger("cogo.health")
# Rests shorter than this are over before another worker could read them.
WORTH_SHARING_S = 5.0
_STATES = {"cooldown": "open", "trip": "tripped", "suspend": "suspended", "disable": "off"}


def record(target: Target, effect: Effect, failure: Failure | None) -> None:
    """Write what other workers and the next process must know. Runs in a worker thread; a database that is away only costs the sharing."""
    now = datetime.now(UTC)
    evidence = _evidence(failure) if failure else ""
    try:
        if effect.scope == "key" and effect.kind == "disable":
            _key_state(target, KeyState.INVALID, effect.reason, evidence, now)
        elif effect.scope == "key":
            _key_state(target, KeyState.OUT_OF_CREDIT, effect.reason, evidence, now)
        elif effect.kind == "recover":
            DeploymentHealth.objects.filter(
                provider_key_id=target.credential.id, upstream_id=target.upstream_id, state=_STATES["trip"]
            ).delete()
        elif effect.kind in _STATES:
            left = (effect.until - now).total_seconds() if effect.until else None
            if left is None or left >= WORTH_SHARING_S:
                DeploymentHealth.objects.update_or_create(
                    provider_key_id=target.credential.id,
                    upstream_id=target.upstream_id,
                    defaults={
                        "state": _STATES[effect.kind],
                        "reason": effect.reason[:300],
                        "evidence": evidence,
                        "since": now,
                        "until": effect.until,
                    },
                )
    except DatabaseError as error:
        log.warning("a cooldown could not be shared", extra={"reason": type(error).__name__})


def _evidence(failure: Failure) -> str:
    what = f"HTTP {failure.status}" if failure.status else failure.kind.value
    return " ".join(part for part in (what, failure.code, failure.message) if part)[:600]


def _key_state(target: Target, state: KeyState, reason: str, evidence: str, now: datetime) -> None:
    changed = (
        ProviderKey.objects.filter(pk=target.credential.id)
        .exclude(state=state)
        .update(state=state, reason=reason[:300], evidence=evidence, checked_at=now)
    )
    if changed:
        KeyCheck.objects.create(
            provider_key_id=target.credential.id, at=now, state=state, reason=reason[:300], evidence=evidence, trigger="traffic"
        )


def resting(now: datetime) -> list[tuple[tuple[int, str], str, str, float | None]]:
    """What is still in force: (deployment, state, reason, seconds left or ``None`` for off). Rests that are over are deleted."""
    DeploymentHealth.objects.filter(until__lt=now).delete()
    rows = DeploymentHealth.objects.filter(Q(until=None) | Q(until__gte=now))
    return [
        ((row.provider_key_id, row.upstream_id), row.state, row.reason, (row.until - now).total_seconds() if row.until else None)
        for row in rows
    ]
