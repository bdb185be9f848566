"""What the page of a batch shows above its facts, and redraws while it runs: how far, how fast, how long still, for how much, why not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from llm_gateway.core.roles import READS_TEXTS
from llm_gateway.models import Batch, BatchLine

from . import _verbs
from ._show import span, usd

# Lines a second are those of so long ago until now.
LATELY = timedelta(seconds=30)
# A batch of which nothing runs for so long has perhaps no runner.
QUIET_AFTER = timedelta(seconds=30)
SEES_MONEY = "llm_gateway.view_ledgerentry"
_COUNTS = (("completed", "good"), ("failed", "bad"), ("expired", "warn"), ("cancelled", ""), ("running", ""), ("queued", ""))


def context(request: HttpRequest, row: Batch, *, may_change: bool) -> dict[str, Any]:
    """For ``batch_state.html``."""
    now = timezone.now()
    open_one = row.ended_at is None
    rate, text = _rate(row, now)
    done = row.total - row.queued - row.running
    codes = BatchLine.objects.filter(batch=row).exclude(error_code="").values_list("error_code").annotate(n=Count("pk")).order_by("-n")
    return {
        "batch": row,
        "open": open_one,
        "share": round(100 * done / row.total) if row.total else 0,
        "bar": [(name, 100 * getattr(row, name) / row.total) for name in ("completed", "failed", "expired", "cancelled") if row.total],
        "done": f"{done:,}",
        "total": f"{row.total:,}",
        "counts": [(name, tone, f"{count:,}") for name, tone in _COUNTS if (count := getattr(row, name))],
        "rate": text,
        "left": _left(row, rate, now) if open_one else _took(row),
        "quiet": open_one and not row.pause_reason and not row.running and row.state == "in_progress" and _since(row, now) > QUIET_AFTER,
        "waits": row.state == "validating" and _since(row, now) > QUIET_AFTER,
        "money": _money(row) if request.user.has_perm(SEES_MONEY) else None,
        "codes": list(codes[:20]) if row.failed + row.expired else [],
        "downloads": _downloads(row) if request.user.has_perm(READS_TEXTS) else [],
        "unreadable": row.completed and not request.user.has_perm(READS_TEXTS),
        "may_cancel": may_change and open_one and row.state != "cancelling",
        "may_retry": may_change and not open_one and row.failed + row.expired > 0 and row.state != "failed",
    }


def _since(row: Batch, now: datetime) -> timedelta:
    """Since its last line ended, or it began."""
    last = BatchLine.objects.filter(batch=row, ended_at__isnull=False).order_by("-ended_at").values_list("ended_at", flat=True).first()
    return now - (last or row.started_at or row.created_at)


def _rate(row: Batch, now: datetime) -> tuple[float, str]:
    """Lines a second, and how to say it."""
    if row.started_at is None:
        return 0.0, "—"
    if row.ended_at is not None:
        took = (row.ended_at - row.started_at).total_seconds()
        ran = row.completed + row.failed
        return (ran / took, f"{ran / took:,.1f}") if took > 0 else (0.0, "—")
    ended = BatchLine.objects.filter(batch=row, ended_at__gte=now - LATELY).count()
    seconds = max(1.0, min(LATELY, now - row.started_at).total_seconds())
    return ended / seconds, f"{ended / seconds:,.1f}"


def _took(row: Batch) -> str:
    if row.started_at is None or row.ended_at is None:
        return ""
    return f"on average; {span((row.ended_at - row.started_at).total_seconds())} in all"


def _left(row: Batch, rate: float, now: datetime) -> str:
    if row.pause_reason:
        return "paused"
    if row.state == "validating":
        return "the file is read in"
    if not rate:
        return f"unknown; the window ends in {span((row.ends_at - now).total_seconds())}"
    seconds = (row.queued + row.running) / rate
    if now + timedelta(seconds=seconds) > row.ends_at:
        return f"longer than its window, which ends in {span((row.ends_at - now).total_seconds())}"
    return f"about {span(seconds)} left"


def _money(row: Batch) -> dict[str, Any]:
    cost = _verbs.batch_cost(row)
    bar = min(100, round(100 * cost / row.worst_nusd)) if row.worst_nusd else None
    told = "no price was known" if row.worst_nusd is None else f"{usd(row.estimate_nusd, 4)} expected, {usd(row.worst_nusd, 4)} at most"
    return {"cost": usd(cost, 4), "exact": usd(cost), "told": told, "bar": bar}


def _downloads(row: Batch) -> list[tuple[str, str]]:
    """Also while it runs: what has ended so far."""
    found = [
        ("batch-results", "Results (JSONL)", row.completed), ("batch-errors", "Errors (JSONL)", row.failed + row.expired),
        ("batch-code", "Code files (zip)", row.completed),
    ]  # fmt: skip
    return [(reverse(name, args=[row.pk]), title) for name, title, count in found if count]
