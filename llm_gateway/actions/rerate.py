"""Bill past requests again with the prices that should have been in force: differences become adjustment entries, rows are never edited.

The price is chosen as it was then (the request's own moment, prompt and tier) from the price book as it is now. Only requests whose bill
the row itself explains are rated: one billed attempt, counts reported by the provider. Repeating it books nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from llm_gateway.core.money import Rate, cost_nusd, rate_at
from llm_gateway.core.outcomes import RequestState
from llm_gateway.core.usage import Usage
from llm_gateway.models import Attempt, LedgerEntry, Price, RequestLog
from llm_gateway.stores.catalog import rate_of
from llm_gateway.stores.holds import BudgetBook

CHUNK = 200
TOKENS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens", "web_searches",
)  # fmt: skip


class Rerated(msgspec.Struct, frozen=True, kw_only=True):
    """``looked_at`` requests, of which ``changed`` cost something else now; ``skipped``: not explained by their row, or without a price.
    Sums in nano-USD."""

    looked_at: int = 0
    changed: int = 0
    skipped: int = 0
    more_nusd: int = 0
    less_nusd: int = 0


def rerate(
    start: datetime, end: datetime, *, model_id: int | None = None, team_id: int | None = None, dry_run: bool = False, note: str = "rerate"
) -> Rerated:
    """Requests that arrived from ``start`` until before ``end``."""
    rows = RequestLog.objects.filter(created_at__gte=start, created_at__lt=end, model__isnull=False).exclude(
        state__in=(RequestState.OPEN, RequestState.REJECTED)
    )
    if model_id is not None:
        rows = rows.filter(model_id=model_id)
    if team_id is not None:
        rows = rows.filter(team_id=team_id)
    rates = _rates(rows.order_by().values_list("model_id", flat=True).distinct())
    total = {"looked_at": 0, "changed": 0, "skipped": 0, "more_nusd": 0, "less_nusd": 0}
    for chunk in _chunks(rows):
        differences = []
        for row, difference in _differences(chunk, rates):
            total["looked_at"] += 1
            if difference is None:
                total["skipped"] += 1
            elif difference:
                differences.append((row, difference))
                total["changed"] += 1
                total["more_nusd" if difference > 0 else "less_nusd"] += abs(difference)
        if differences and not dry_run:
            _book(differences, rates, note[:200])
    return Rerated(**total)


def bill_of(row: RequestLog, rates: Sequence[Rate]) -> int | None:
    """What the row's own counts cost at ``rates``; ``None`` without a price."""
    usage = Usage(**{name: getattr(row, name) for name in TOKENS}, service_tier=row.service_tier or None)
    rate = rate_at(rates, row.created_at, usage.prompt_tokens, usage.service_tier or "standard")
    return None if rate is None else cost_nusd(usage, rate)


def _rates(models: Any) -> dict[int, tuple[Rate, ...]]:
    found: dict[int, list[Rate]] = {}
    for price in Price.objects.filter(model_id__in=list(models)):
        found.setdefault(price.model_id, []).append(rate_of(price))
    return {model: tuple(rates) for model, rates in found.items()}


def _chunks(rows: Any) -> Iterator[list[RequestLog]]:
    """By primary key, which orders by arrival: nothing is held open between two chunks."""
    last = None
    while chunk := list((rows if last is None else rows.filter(pk__gt=last)).order_by("pk")[:CHUNK]):
        yield chunk
        last = chunk[-1].pk


def _differences(chunk: list[RequestLog], rates: dict[int, tuple[Rate, ...]]) -> Iterator[tuple[RequestLog, int | None]]:
    ids = [row.pk for row in chunk]
    billed: dict[Any, int] = {}
    for request in Attempt.objects.filter(request__in=ids).exclude(billed__in=("", "void")).values_list("request_id", flat=True):
        billed[request] = billed.get(request, 0) + 1
    adjusted = dict(
        LedgerEntry.objects.filter(LedgerEntry.OWN_COST, request__in=ids)
        .order_by()
        .values_list("request_id")
        .annotate(total=Sum("amount_nusd"))
    )
    for row in chunk:
        explained = row.usage_source == "reported" and billed.get(row.pk) == 1 and row.model_id is not None
        cost = bill_of(row, rates.get(row.model_id, ())) if explained and row.model_id is not None else None
        yield row, None if cost is None else cost - (row.cost_nusd or 0) - adjusted.get(row.pk, 0)


def _book(differences: list[tuple[RequestLog, int]], rates: dict[int, tuple[Rate, ...]], note: str) -> None:
    now = timezone.now()
    with transaction.atomic():
        ids = [row.pk for row, _ in differences]
        # Requests, then entries, then budgets: the order in which everybody locks (stores.batch).
        locked = set(RequestLog.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk", flat=True))
        posted: dict[Any, list[LedgerEntry]] = {}
        own = LedgerEntry.objects.filter(request__in=ids, budget__isnull=False).exclude(state="held")
        for entry in own.select_for_update().order_by("pk"):
            posted.setdefault(entry.request_id, []).append(entry)
        book = BudgetBook({e.budget_id for entries in posted.values() for e in entries if e.budget_id}, now)
        made = []
        for (row, _), (_, difference) in zip(differences, _differences([row for row, _ in differences], rates), strict=True):
            # Looked at again under the lock: another run may have booked it.
            if not difference or row.pk not in locked:
                continue
            made.append(_entry(row, None, "", difference, now, note))
            for budget, period, charged in _charged(posted.get(row.pk, ())):
                if not book.concerns(budget, row.provider_id, row.model_id):
                    continue
                if more := (row.cost_nusd or 0) + difference + _before(row) - charged:
                    book.resolve(budget, period, 0, more)
                    made.append(_entry(row, budget, period, more, now, note))
        LedgerEntry.objects.bulk_create(made)
        book.save()


def _charged(entries: Sequence[LedgerEntry]) -> list[tuple[int, str, int]]:
    """(budget, its period then, what it was charged so far)"""
    sums: dict[tuple[int, str], int] = {}
    for entry in entries:
        if entry.budget_id is not None:
            key = (entry.budget_id, entry.period_id)
            sums[key] = sums.get(key, 0) + entry.amount_nusd
    return [(budget, period, amount) for (budget, period), amount in sums.items()]


def _before(row: RequestLog) -> int:
    """What earlier runs adjusted the row by."""
    found = LedgerEntry.objects.filter(LedgerEntry.OWN_COST, request=row).aggregate(total=Sum("amount_nusd"))["total"]
    return found or 0


def _entry(row: RequestLog, budget: int | None, period: str, amount: int, now: datetime, note: str) -> LedgerEntry:
    return LedgerEntry(
        request=row, budget_id=budget, period_id=period, kind="adjustment", state="posted", amount_nusd=amount, created_at=now,
        resolved_at=now, note=note,
    )  # fmt: skip
