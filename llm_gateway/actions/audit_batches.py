"""Batches: their counts are those of their lines (BT1), and they cost what their requests cost (BT3). BT2 is the schema's: a line has one
result."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, Sum

from llm_gateway.core.money import format_usd
from llm_gateway.models import Batch, BatchLine, RequestLog

STATES = ("queued", "running", "completed", "failed", "expired", "cancelled")
_STEP = 500


def wrong_counts() -> tuple[int, list[str]]:
    """(how many batches were looked at, the first that break BT1)."""
    # While a file is read in, its lines are there and not yet counted; of one that failed they are being deleted.
    batches = Batch.objects.filter(total__gt=0)
    counted: dict[Any, dict[str, int]] = {}
    for pk, state, count in (
        BatchLine.objects.filter(batch__total__gt=0)
        .order_by()
        .values("batch", "state")
        .annotate(n=Count("pk"))
        .values_list("batch", "state", "n")
    ):
        counted.setdefault(pk, {})[state] = count
    looked_at, wrong = 0, []
    for batch in batches.only("total", *STATES).iterator(_STEP):
        looked_at += 1
        told = {name: getattr(batch, name) for name in STATES}
        lines = {name: counted.get(batch.pk, {}).get(name, 0) for name in STATES}
        if told != lines or sum(told.values()) != batch.total:
            different = ", ".join(f"{name} {told[name]}, lines {lines[name]}" for name in STATES if told[name] != lines[name])
            wrong.append(f"batch {batch}: total {batch.total}; {different}")
    return looked_at, wrong


def wrong_costs() -> tuple[int, list[str], int]:
    """(how many ended batches were looked at, the first that break BT3, how many could not be: requests of theirs were purged)."""
    sums: dict[Any, tuple[int, int]] = {}
    rows = RequestLog.objects.filter(batch_id__isnull=False).order_by().values("batch_id")
    for row in rows.annotate(cost=Sum("cost_nusd"), n=Count("pk", filter=~Q(state="rejected"))):
        sums[row["batch_id"]] = (row["cost"] or 0, row["n"])
    looked_at, purged, wrong = 0, 0, []
    for batch in Batch.objects.exclude(cost_nusd=None).only("cost_nusd", "completed").iterator(_STEP):
        cost, count = sums.get(batch.pk, (0, 0))
        if count < batch.completed:
            purged += 1
            continue
        looked_at += 1
        if cost != batch.cost_nusd:
            wrong.append(f"batch {batch}: cost {format_usd(batch.cost_nusd)} USD, its requests {format_usd(cost)} USD")
    return looked_at, wrong, purged
