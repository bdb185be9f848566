"""Watch a strategy that learns, where it is guarded: its callers against the share that stayed with the base; back when they do worse."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from llm_gateway.models import PolicyEvent, PolicyVersion, RequestLog, trail
from llm_gateway.policies.guards import Seen, breach
from llm_gateway.strategies import DRAWS, read_choice
from llm_gateway.strategies.learned import held_out

from . import ActionError
from .draft_policy import GUARDS
from .rollback_policy import rollback_policy

log = logging.getLogger("cogo.policies")
_ENDED = ("ok", "partial", "failed")
# Older requests say little of what it does now, and reading them each minute would cost.
WINDOW = timedelta(hours=6)
MOST = 50_000


def guard_learned(now: datetime | None = None) -> str | None:
    """Why it was rolled back; ``None``: it is not guarded, or does well enough."""
    now = now or timezone.now()
    active = PolicyVersion.objects.filter(state=PolicyVersion.State.ACTIVE, canary_share=None, alias="", kind="learned").first()
    if active is None or active.settings.get("mode") != "guarded" or active.activated_at is None:
        return None
    held, learned = compared(active, max(active.activated_at, now - WINDOW))
    why = breach(held, learned, {**GUARDS, **active.guards, "p95_factor": None})
    if not why:
        if active.watch:
            PolicyVersion.objects.filter(pk=active.pk).update(watch=None)
        return None
    try:
        back = rollback_policy(via="guard", note=why)
    except ActionError as error:
        log.error("what was learnt does worse, and there is nothing to go back to", extra={"reason": why, "error": str(error)})
        PolicyVersion.objects.filter(pk=active.pk).update(watch={"stuck": why[:300], "at": now.isoformat()})
        return None
    trail.record("rolled back", active, detail=why, who=trail.Actor(name="guard"))
    PolicyEvent.objects.create(version=active, kind=PolicyEvent.Kind.RETIRED, via="guard", note=why[:500])
    log.error("what was learnt was rolled back", extra={"version": active.number, "to": back.number, "reason": why})
    return why


def compared(version: PolicyVersion, since: datetime) -> tuple[Seen, Seen]:
    """(the holdout's requests, the others'), of the newest :data:`MOST`."""
    share = float(version.settings.get("holdout_share", 0.0))
    sums = {True: Seen(), False: Seen()}
    rows = RequestLog.objects.filter(policy=version.number, created_at__gte=since, state__in=_ENDED).exclude(choice=None).order_by("-id")
    fields = ("created_at", "client_key__public_id", "stream", "choice", "state", "cost_nusd")
    for at, client, stream, text, state, cost in rows.values_list(*fields)[:MOST].iterator(chunk_size=2000):
        try:
            choice = read_choice(text)
        except ValueError:
            continue
        held = held_out(choice.facts(at, client or "", stream), share, choice.draw / DRAWS)
        one = Seen(requests=1, ok=int(state == "ok"), priced=int(cost is not None), cost=cost or 0, cost_squares=float(cost or 0) ** 2)
        sums[held] = sums[held].plus(one)
    return sums[True], sums[False]
