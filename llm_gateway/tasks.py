"""What the django-q2 cluster runs: synchronous, ids in, a small dictionary out, harmless when run twice (reliability P13, P14, P16).

Nothing here is needed for requests to be answered, budgets to hold or holds to end: a dead cluster makes checks late, nothing wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django_q.signals import post_execute

from llm_gateway.actions.claim_job import claim_job
from llm_gateway.telemetry import processes

log = logging.getLogger("cogo.tasks")

# The admin takes a fresh row of this name for a living cluster.
HEARTBEAT = "tasks"
SKIPPED = {"skipped": "another process does it"}
_SPREAD_S = 15.0


def connect() -> None:
    """The cluster's sign of life to its supervisor is a task of which the result was stored: every part of it had a hand in that."""
    post_execute.connect(_alive, dispatch_uid="cogo-cluster-alive")


def _alive(sender: Any, **_: Any) -> None:
    processes.beat(processes.folder(settings.VAR_DIR))


def heartbeat() -> dict[str, Any]:
    """A sign of life of the cluster, each minute."""
    from llm_gateway.models import Heartbeat

    now = timezone.now()
    Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": now, "detail": {}})
    return {"at": now.isoformat()}


def check_keys(ids: Sequence[int] | None = None, trigger: str = "schedule") -> dict[str, Any]:
    """Every enabled key each five minutes, or those of ``ids`` now."""
    from llm_gateway.actions.check_keys import EVERY
    from llm_gateway.actions.check_keys import check_keys as check

    if ids is None and not claim_job("check keys", EVERY):
        return SKIPPED
    results = check(None if ids is None else _ids(ids), trigger=trigger, spread_s=_SPREAD_S if ids is None else 0.0)
    counts: dict[str, int] = {}
    for result in results:
        counts[result.state.value] = counts.get(result.state.value, 0) + 1
    return {"checked": len(results), **counts}


def check_key(key_id: int) -> dict[str, Any]:
    """One key that was just saved."""
    return check_keys([key_id], "save")


def reap_open_requests() -> dict[str, Any]:
    """Beside the workers' own reaping: rows of a gateway of which no worker is left."""
    from llm_gateway.stores.reaper import reap

    return {"orphaned": reap(timezone.now())}


def advance_lifecycles() -> dict[str, Any]:
    from llm_gateway.actions.advance_lifecycles import advance_lifecycles as advance

    return {"retired": advance()}


def trim_history() -> dict[str, Any]:
    from llm_gateway.actions.purge_decisions import purge_decisions
    from llm_gateway.actions.trim_history import trim_history as trim

    if not claim_job("trim history", timedelta(days=1)):
        return SKIPPED
    result = trim()
    purge_decisions()
    return {"key_checks": result.key_checks, "bodies": result.bodies, "heartbeats": result.heartbeats}


def replay_policy(replay_id: int) -> dict[str, Any]:
    """A replay that somebody asked for."""
    from llm_gateway.actions.replay_policy import run_replay

    (one,) = _ids([replay_id])
    done = run_replay(one)
    return {"replay": done.pk, "state": done.state}


def guard_policies() -> dict[str, Any]:
    """Each minute: a canary, or a guarded learner, that does worse is rolled back."""
    from llm_gateway.actions.guard_learned import guard_learned
    from llm_gateway.actions.guard_policies import guard_policies as guard

    if not claim_job("guard policies", timedelta(minutes=1)):
        return SKIPPED
    return {"breach": guard() or guard_learned() or ""}


def evaluate_experiments() -> dict[str, Any]:
    """Each five minutes: what running experiments say so far."""
    from llm_gateway.actions.evaluate_experiments import evaluate_experiments as look

    if not claim_job("evaluate experiments", timedelta(minutes=5)):
        return SKIPPED
    return {"looked_at": look()}


def fit_learner() -> dict[str, Any]:
    """Each five minutes, where a strategy learns."""
    from llm_gateway.actions.fit_learner import fit_learner as fit

    if not claim_job("fit learner", timedelta(minutes=5)):
        return SKIPPED
    return {"learnt_from": fit()}


def purge_responses() -> dict[str, Any]:
    from llm_gateway.actions.trim_history import purge_responses as purge

    return {"deleted": purge()}


def expire_answers() -> dict[str, Any]:
    """Kept answers of the cache past their time."""
    from llm_gateway.actions.purge_answers import expire_answers as expire

    return {"deleted": expire()}


def purge_idempotency() -> dict[str, Any]:
    from llm_gateway.actions.trim_history import purge_idempotency as purge

    return {"deleted": purge()}


def purge_batches() -> dict[str, Any]:
    """Batches with their results, and files, whose time is over."""
    from llm_gateway.stores.batch_results import purge

    return dict(purge(timezone.now()))


def send_alerts() -> dict[str, Any]:
    """Each minute: mails and webhooks that are due."""
    from llm_gateway.actions.send_alerts import send_alerts as send

    done = send()
    return {"sent": done.sent, "waiting": done.waiting, "given_up": done.given_up}


def raise_alerts() -> dict[str, Any]:
    """Each minute: what alert rules are about, begun and ended."""
    from llm_gateway.actions.raise_alerts import raise_alerts as run

    done = run()
    return {"begun": done.begun, "going_on": done.going_on, "ended": done.ended}


def audit() -> dict[str, Any]:
    """Each night: all invariants of money and log. What is broken is in the log, in the console, in the metrics, and fails the task."""
    return _audited("books", timedelta(days=1))


def watch() -> dict[str, Any]:
    """Each five minutes: what is open, waits in a file or stands still."""
    return _audited("watch", timedelta(minutes=5))


def _audited(kind: str, every: timedelta) -> dict[str, Any]:
    from llm_gateway.actions.run_audit import run_audit

    if not claim_job("audit" if kind == "books" else kind, every):
        return SKIPPED
    run = run_audit(kind)
    if not run.ok:
        raise RuntimeError("; ".join(f"{one['code']}: {one['title']}" for one in run.findings if one["broken"])[:500])
    return {"held": len(run.rules), "noted": len(run.findings)}


def purge() -> dict[str, Any]:
    """Each night: what is beyond its team's retention."""
    from llm_gateway.actions.purge import purge as run

    if not claim_job("purge", timedelta(days=1)):
        return SKIPPED
    done = run()
    return {"bodies": done.bodies, "requests": done.requests, "longest_ms": done.longest_ms}


def trim_task_failures() -> dict[str, Any]:
    from llm_gateway.actions.trim_history import trim_task_failures as trim

    return {"deleted": trim()}


def compare_prices() -> dict[str, Any]:
    """What changed in the published prices since the last import. Reported only: a person approves it (``import_prices``)."""
    from llm_gateway.actions.import_prices import import_prices

    if not claim_job("published prices", timedelta(days=7)):
        return SKIPPED
    result = import_prices(dry_run=True)
    changes = [f"{change.model} {change.tier}: {change.before or 'none'} → {change.after}" for change in result.changes]
    return {"new": result.new, "changed": result.changed, "unpriced": list(result.unpriced)[:50], "changes": changes[:50]}


def _ids(ids: Sequence[int]) -> list[int]:
    """Task arguments are ids and nothing else: they are pickled into a table (reliability A34)."""
    if any(type(one) is not int for one in ids):
        raise TypeError("task arguments are integer ids")
    return list(ids)
