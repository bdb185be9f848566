"""Prove the money and log invariants from the rows themselves (reliability.md, M1 to M5, L1, L2). Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Concat, Greatest
from django.db.models.lookups import GreaterThan
from django.utils import timezone

from llm_gateway.core.money import cost_nusd, format_usd
from llm_gateway.core.outcomes import UNSERVED, RequestState
from llm_gateway.core.usage import Usage
from llm_gateway.models import Attempt, Budget, Heartbeat, LedgerEntry, Price, RequestLog, Statement
from llm_gateway.stores.catalog import rate_of
from llm_gateway.stores.leases import SIGN

from .audit_batches import wrong_costs, wrong_counts

# An expired open row is closed by the next sweep of any worker.
SWEEP = timedelta(seconds=30)
# No lease is as long (COGO_LEASE_S ends at an hour): one that ends later than that from now was written by a clock that ran ahead.
LONGEST_LEASE = timedelta(hours=2)
# A worker that lives is heard of every five seconds.
UNHEARD = timedelta(minutes=2)
SHOWN = 10
# How many of the newest bills a strict audit works out again.
BILLS = 100_000
COUNTS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens", "web_searches",
)  # fmt: skip
_COUNTED = ("chat", "generate", "analyze", "test", "embeddings")
_CHARGED = (RequestState.OK, RequestState.PARTIAL, RequestState.FAILED, RequestState.CLIENT_CANCELLED, RequestState.ORPHANED)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One invariant. ``looked_at``: how many rows it was tried on; ``offenders``: the first of those that break it, with figures.

    ``note``: what an operator's own act explains (a limit lowered below what was spent); told, and no break.
    """

    code: str
    title: str
    looked_at: int
    broken: int
    figures: str = ""
    offenders: tuple[str, ...] = ()
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.broken == 0


def audit(now: datetime | None = None, strict: bool = False, open_only: bool = False) -> list[Finding]:
    """Every invariant with its figures, in a fixed order. Sees one moment of a running gateway and keeps no writer waiting.

    ``strict``: also what takes a scan of all rows. ``open_only``: only what is open or held now, which indexes find."""
    now = now or timezone.now()
    with _one_moment():
        if open_only:
            return _open(now)
        findings = [*_budgets(now), *_ledger(), *_requests(now)]
        return [*findings, *_strict()] if strict else findings


@contextmanager
def _one_moment() -> Iterator[None]:
    """A read-only snapshot. On SQLite not atomic(), whose BEGIN IMMEDIATE would take the writer's lock."""
    if connection.in_atomic_block:
        yield
        return
    if connection.vendor != "sqlite":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
        return
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def _budgets(now: datetime) -> list[Finding]:
    sums = {
        (row["budget_id"], row["period_id"], row["state"]): row
        for row in LedgerEntry.objects.exclude(budget=None)
        .order_by()
        .values("budget_id", "period_id", "state")
        .annotate(amount=Sum("amount_nusd"), over=Sum(Greatest(F("amount_nusd") - F("held_nusd"), 0)))
    }
    posted: list[str] = []
    held: list[str] = []
    limit: list[str] = []
    above: list[str] = []
    total_posted = total_held = 0
    rows = list(Budget.objects.order_by("pk"))
    for budget in rows:
        mine: dict[str, Any] = {state: sums.get((budget.pk, budget.period_id, state), {}) for state in ("posted", "held")}
        in_ledger, reserved = mine["posted"].get("amount") or 0, mine["held"].get("amount") or 0
        total_posted, total_held = total_posted + budget.posted_nusd, total_held + budget.held_nusd
        if budget.posted_nusd != in_ledger:
            posted.append(f"budget {budget.pk} “{budget.name}”: posted {_usd(budget.posted_nusd)}, ledger {_usd(in_ledger)}")
        if budget.held_nusd != reserved:
            held.append(f"budget {budget.pk} “{budget.name}”: held {_usd(budget.held_nusd)}, ledger {_usd(reserved)}")
        overrun = mine["posted"].get("over") or 0
        # ``extra_nusd``: a raise for a limited time.
        spent, most = budget.posted_nusd + budget.held_nusd, budget.limit_nusd + budget.extra_nusd
        if budget.hard and spent > most + overrun:
            found = (
                f"budget {budget.pk} “{budget.name}”: posted {_usd(budget.posted_nusd)} + held {_usd(budget.held_nusd)} "
                f"> limit {_usd(most)} + overruns {_usd(overrun)}"
            )
            # Whoever lowers a limit below what is spent leaves that as it is: ``excess_nusd`` says by how much.
            (above if spent <= most + budget.excess_nusd else limit).append(found)
    findings = [
        _finding("M2a", "every budget's posted sum is that of its ledger entries", len(rows), posted, f"posted {_usd(total_posted)}"),
        _finding("M2b", "every budget's held sum is that of its ledger entries", len(rows), held, f"held {_usd(total_held)}"),
    ]
    hard = sum(budget.hard for budget in rows)
    note = f"{len(above)} above a limit that was lowered since: {'; '.join(above[:SHOWN])}" if above else ""
    return [_finding("M1", "no hard budget is passed, but by what a provider billed above a hold", hard, limit, note=note), *findings]


def _ledger() -> list[Finding]:
    entries = LedgerEntry.objects.order_by()
    unresolved = entries.filter(Q(state="held", resolved_at__isnull=False) | (~Q(state="held") & Q(resolved_at=None)))
    empty_handed = entries.filter(state__in=("voided", "expired")).exclude(amount_nusd=0)
    unresolved_corrections = entries.filter(kind="adjustment").exclude(state="posted", held_nusd=0)
    twice = entries.filter(kind="request", budget__isnull=False).values("request_id", "budget_id").annotate(n=Count("pk")).filter(n__gt=1)
    count = entries.count()
    return [
        _rows("M3a", "a hold is resolved once: resolved entries have a moment, held ones none", count, unresolved),
        _rows("M3b", "what was voided or expired charges nothing", entries.filter(state__in=("voided", "expired")).count(), empty_handed),
        _finding(
            "M3c",
            "a request holds each budget once",
            count,
            [f"request {row['request_id']}, budget {row['budget_id']}: {row['n']} entries" for row in twice[:SHOWN]],
            broken=twice.count(),
        ),
        _rows("M3d", "a correction is posted at once and holds nothing", entries.filter(kind="adjustment").count(), unresolved_corrections),
        *_held(),
    ]


def _held() -> list[Finding]:
    held = LedgerEntry.objects.filter(state="held").order_by()
    closed = held.filter(request__isnull=False).exclude(request__state=RequestState.OPEN)
    rowless = held.exclude(Exists(_request_of_entry()))
    return [
        _rows("M4", "nothing is held for a request that has ended", held.count(), closed.filter(Exists(_request_of_entry()))),
        _rows("M4b", "nothing is held without a request", held.count(), rowless),
    ]


def _request_of_entry() -> QuerySet[RequestLog]:
    return RequestLog.objects.filter(pk=OuterRef("request_id"))


def _open(now: datetime) -> list[Finding]:
    opened = RequestLog.objects.filter(state=RequestState.OPEN).order_by()
    heard = Heartbeat.objects.filter(name=Concat(Value(SIGN), OuterRef("worker")), at__gte=now - UNHEARD)
    return [
        _rows("L1a", "every open request is within its lease", opened.count(), opened.filter(lease_until__lt=now - SWEEP)),
        _rows("L1d", "no lease outlasts the longest there is", opened.count(), opened.filter(lease_until__gt=now + LONGEST_LEASE)),
        _rows(
            "L1e",
            "every open request is that of a worker that lives",
            opened.count(),
            opened.filter(created_at__lt=now - UNHEARD).exclude(Exists(heard)),
        ),
        _holding(),
    ]


def _holding() -> Finding:
    """From the open requests, which are few, to their entries: a hold of any other request is one that nobody will resolve."""
    entries = LedgerEntry.objects.filter(state="held", request__state=RequestState.OPEN).exclude(budget=None).order_by()
    sums = {
        (row["budget_id"], row["period_id"]): row["amount"]
        for row in entries.values("budget_id", "period_id").annotate(amount=Sum("amount_nusd"))
    }
    budgets = list(Budget.objects.order_by("pk"))
    wrong = [
        f"budget {one.pk} “{one.name}”: held {_usd(one.held_nusd)}, its open requests {_usd(sums.get((one.pk, one.period_id), 0))}"
        for one in budgets
        if one.held_nusd != sums.get((one.pk, one.period_id), 0)
    ]
    return _finding("M2d", "every budget holds what its open requests hold", len(budgets), wrong)


def _requests(now: datetime) -> list[Finding]:
    ended = RequestLog.objects.exclude(state=RequestState.OPEN).order_by()
    return [
        *_open(now),
        _rows(
            "L1b",
            "every ended request has its moment and no lease",
            ended.count(),
            ended.filter(Q(finished_at=None) | Q(lease_until__isnull=False)),
        ),
        _rows("L1c", "no request ended before it began", ended.count(), ended.filter(finished_at__lt=F("created_at"))),
    ]


def _strict() -> list[Finding]:
    charged = LedgerEntry.objects.filter(state="posted", kind="request", request__state__in=_CHARGED, request__cost_nusd__isnull=False)
    ended = RequestLog.objects.exclude(state=RequestState.OPEN).order_by()
    told = Attempt.objects.filter(request=OuterRef("pk")).order_by().values("request").annotate(n=Count("pk")).values("n")
    uncounted = ended.annotate(found=Coalesce(Subquery(told), 0)).exclude(found=F("attempt_count"))
    early = Attempt.objects.filter(GreaterThan(F("request__created_at"), F("started_at"))).order_by()
    silent = ended.filter(state__in=(RequestState.OK, RequestState.PARTIAL), usage_source="", cost_nusd=0, kind="chat", attempt_count__gt=0)
    return [
        _rows(
            "M2c",
            "a posted entry charges what its request cost, a provider's or model's no more than that",
            charged.count(),
            charged.filter(
                Q(amount_nusd__gt=F("request__cost_nusd"))
                | Q(budget__isnull=False, budget__provider=None, budget__model=None, amount_nusd__lt=F("request__cost_nusd"))
            ),
        ),
        _rows(
            "M5",
            "no answered chat without reported or estimated usage is taken for free",
            ended.filter(state__in=(RequestState.OK, RequestState.PARTIAL)).count(),
            silent,
        ),
        _bills(),
        _statements(),
        _rows("L2a", "every upstream attempt of an ended request has its row", ended.count(), uncounted),
        _rows("L2b", "no attempt began before its request was written", Attempt.objects.count(), early),
        *_batches(),
    ]


def _batches() -> list[Finding]:
    counted, counts = wrong_counts()
    costed, costs, purged = wrong_costs()
    note = f"{purged} whose requests were purged in part" if purged else ""
    return [
        _finding("BT1", "a batch's counts are those of its lines", counted, counts, broken=len(counts)),
        _finding("BT3", "a batch that has ended costs what its requests cost", costed, costs, broken=len(costs), note=note),
    ]


def _bills() -> Finding:
    """The newest rows that explain themselves (one billed attempt, reported counts, nothing rounded down to a hold): tokens times the price
    they name is their cost. A price row that was edited since shows here; editing is what ``effective_from`` is there to avoid."""
    prices = {price.pk: rate_of(price) for price in Price.objects.all()}
    rows = RequestLog.objects.filter(
        state=RequestState.OK,
        usage_source="reported",
        attempt_count=1,
        price_id__in=list(prices),
        cost_nusd__isnull=False,
        kind__in=_COUNTED,
    )
    looked_at, broken = 0, 0
    wrong: list[str] = []
    for row in rows.order_by("-pk")[:BILLS].iterator(chunk_size=1000):
        looked_at += 1
        usage = Usage(**{name: getattr(row, name) for name in COUNTS})
        expected = cost_nusd(usage, prices[row.price_id or 0])
        if expected != row.cost_nusd:
            broken += 1
            if len(wrong) < SHOWN:
                wrong.append(f"request {row.pk}: cost {_usd(row.cost_nusd or 0)}, its tokens at its price {_usd(expected)}")
    return _finding("M6", "a reported answer costs its tokens at the price it names", looked_at, wrong, broken=broken)


def _statements() -> Finding:
    """Closed months against the log, where all of it is still there."""
    wrong = []
    statements = list(Statement.objects.select_related("team"))
    for closed in statements:
        in_lines = sum(line["cost_nusd"] for line in closed.lines)
        if closed.total_nusd != closed.cost_nusd + closed.adjustments_nusd or closed.cost_nusd != in_lines:
            wrong.append(f"statement {closed.pk} {closed.month}: lines {_usd(in_lines)}, cost {_usd(closed.cost_nusd)}")
            continue
        rows = RequestLog.objects.filter(team=closed.team, created_at__gte=closed.start, created_at__lt=closed.end, simulated=False)
        now = rows.exclude(state__in=UNSERVED).aggregate(n=Count("pk"), cost=Sum("cost_nusd"))
        if now["n"] == closed.requests and (now["cost"] or 0) != closed.cost_nusd:
            wrong.append(
                f"statement {closed.pk} {closed.month}: closed at {_usd(closed.cost_nusd)}, its rows sum to {_usd(now['cost'] or 0)}"
            )
    return _finding("M7", "a closed month adds up and its rows have not changed", len(statements), wrong)


def _rows(code: str, title: str, looked_at: int, offenders: QuerySet[Any]) -> Finding:
    broken = offenders.count()
    shown = (
        [f"{row._meta.verbose_name} {row.pk} ({row.state if hasattr(row, 'state') else row.outcome})" for row in offenders[:SHOWN]]
        if broken
        else []
    )
    return _finding(code, title, looked_at, shown, broken=broken)


def _finding(
    code: str, title: str, looked_at: int, offenders: list[str], figures: str = "", *, broken: int | None = None, note: str = ""
) -> Finding:
    return Finding(
        code=code,
        title=title,
        looked_at=looked_at,
        broken=len(offenders) if broken is None else broken,
        figures=figures,
        offenders=tuple(offenders[:SHOWN]),
        note=note,
    )


def _usd(nusd: int) -> str:
    return f"{format_usd(nusd)} USD"
