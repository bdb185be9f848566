"""Seeds the history: who appears, what they asked, what it cost, and what the console makes of it."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from llm_gateway.actions._memory import recall, remember
from llm_gateway.core.money import NUSD
from llm_gateway.engine.contexts import Contexts
from llm_gateway.models import Attempt, Budget, CatalogueVersion, LedgerEntry, RequestLog
from llm_gateway.policies.periods import period_id
from llm_gateway.stores import vault
from llm_gateway.stores.catalog import load_snapshot
from llm_gateway.stores.contexts import write_contexts

from . import events, learning, scores
from .cast import Cast, appear
from .routing import Router
from .traffic import TRIAL, Made, Story
from .writing import write

MEMORY = "demo"
DAYS = 30


class Seeded(msgspec.Struct, frozen=True):
    """What was written. ``replay``: the id of one that is queued."""

    requests: int = 0
    attempts: int = 0
    claims: int = 0
    scores: int = 0
    replay: int = 0


def seed(now: datetime | None = None, *, days: int = DAYS, number: int = 1) -> Seeded | None:
    """Once in a database: ``None`` when it is there. All or nothing. The same ``number`` tells the same story. Providers have to be
    registered, and simulated."""
    if recall(MEMORY):
        return None
    now = now or timezone.now()
    with transaction.atomic():
        cast = appear(now, days)
        bad_key = events.key_that_went_bad(now)
        contexts = Contexts()
        before = Router(load_snapshot(), contexts)
        learning.begin(now - timedelta(days=TRIAL), now - timedelta(days=days))
        since = Router(load_snapshot(), contexts)
        story = Story(cast, (before, since), now, days, number, bad_key, vault.end_user_key())
        told = list(story.told())
        claims = _books(cast, told, now)
        seeded = Seeded(
            requests=write(RequestLog, [one.request for one in told]),
            attempts=write(Attempt, [attempt for one in told for attempt in one.attempts]),
            claims=write(LedgerEntry, claims),
            scores=scores.score(told, number),
        )
        while write_contexts(contexts):
            pass
        events.tell(now, cast.exhausted)
        remember(MEMORY, {"requests": seeded.requests, "seed": number})
        CatalogueVersion.bump()
        return msgspec.structs.replace(seeded, replay=learning.look())


def _books(cast: Cast, told: list[Made], now: datetime) -> list[dict[str, Any]]:
    """The claims as rows of the ledger; each budget gets what its period sums to, and a limit that fits."""
    rows: list[dict[str, Any]] = []
    sums: dict[tuple[int, str], int] = defaultdict(int)
    for one in told:
        for budget, held, amount, state in one.claims:
            period = period_id(budget.period, budget.timezone, one.request["created_at"], budget.reset)
            sums[budget.pk, period] += amount
            rows.append(
                {
                    "request_id": one.request["id"],
                    "budget_id": budget.pk,
                    "period_id": period,
                    "state": state,
                    "held_nusd": held,
                    "amount_nusd": amount,
                    "created_at": one.request["created_at"],
                    "resolved_at": one.request["finished_at"],
                }
            )
    for budget in dict.fromkeys(one for many in cast.budgets.values() for one in many):
        present = period_id(budget.period, budget.timezone, now, budget.reset)
        spent = sums[budget.pk, present]
        most = max(amount for (pk, _), amount in sums.items() if pk == budget.pk)
        limit = budget.limit_nusd or (most * 5 // 4 // NUSD + 1) * NUSD
        Budget.objects.filter(pk=budget.pk).update(limit_nusd=limit, posted_nusd=spent, period_id=present)
    return rows
