"""Budgets inside one transaction: counters are locked, changed in memory, written back once.

SQLite's writer lock (BEGIN IMMEDIATE) and PostgreSQL's row locks, taken in id order, make the check and the change one step for every
process: ``posted + held <= limit`` holds at each commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from django.db.models import Sum

from llm_gateway.core.errors import BudgetExhausted, BudgetInFlight, GatewayError, RequestExceedsBudget
from llm_gateway.core.money import format_usd
from llm_gateway.models import Alert, Budget, LedgerEntry
from llm_gateway.policies.periods import period_bounds, period_id

_COUNTERS = ("period_id", "posted_nusd", "held_nusd", "alerted")
# The refusal that lasts longest is the one to tell.
_SEVERITY: dict[type[GatewayError], int] = {RequestExceedsBudget: 2, BudgetExhausted: 1, BudgetInFlight: 0}
IN_FLIGHT_WAIT_S = 2.0


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as it stands, and what it would say to one more hold. Money in nano-USD."""

    id: int
    name: str
    period: str
    hard: bool
    limit_nusd: int
    spent_nusd: int
    held_nusd: int
    refusal: GatewayError | None


class BudgetBook:
    """The budgets one batch touches. ``save`` writes what changed, with an alert for each threshold that was crossed."""

    def __init__(self, ids: Iterable[int], now: datetime) -> None:
        wanted = sorted(set(ids))
        self._now = now
        self._rows: dict[int, Budget] = {}
        self._dirty: set[int] = set()
        self._alerts: list[Alert] = []
        if wanted:
            for row in Budget.objects.select_for_update(no_key=True).filter(pk__in=wanted).order_by("pk"):
                self._rows[row.pk] = row
                self._roll(row)

    def hold(self, ids: Iterable[int], amount: int) -> list[tuple[int, str]]:
        """Reserve ``amount`` against all of ``ids`` or none; returns (budget, period) pairs. Raises the budget errors."""
        rows = [self._rows[i] for i in ids if i in self._rows and self._rows[i].enabled]
        refusals = [(error, row) for row in rows if row.hard and (error := self._refusal(row, amount))]
        if refusals:
            error, row = max(refusals, key=lambda found: _SEVERITY[type(found[0])])
            if isinstance(error, BudgetExhausted):
                # Holds keep a hard budget a little below its limit: whoever waits for "100 %" hears of the first refusal.
                self._alert(row, 100, Alert.Kind.EXHAUSTED)
            raise error
        for row in rows:
            row.held_nusd += amount
            self._dirty.add(row.pk)
        return [(row.pk, row.period_id) for row in rows]

    def resolve(self, budget_id: int, period: str, held: int, posted: int) -> None:
        """A hold of ``held`` made in ``period`` ends with ``posted``. One made in a period that is over no longer counts in this one."""
        row = self._rows.get(budget_id)
        if row is None or row.period_id != period:
            return
        before = row.posted_nusd
        row.held_nusd -= held
        row.posted_nusd += posted
        self._dirty.add(budget_id)
        for threshold in row.thresholds or ():
            if before * 100 < row.limit_nusd * threshold <= row.posted_nusd * 100:
                self._alert(row, threshold, Alert.Kind.THRESHOLD)
        if row.hard and row.posted_nusd + row.held_nusd > row.limit_nusd and posted > held:
            self._alert(row, 100, Alert.Kind.OVERRUN)

    def save(self) -> None:
        rows = [self._rows[i] for i in sorted(self._dirty)]
        if rows:
            Budget.objects.bulk_update(rows, _COUNTERS)
        if self._alerts:
            Alert.objects.bulk_create(self._alerts, ignore_conflicts=True)

    def _alert(self, row: Budget, threshold: int, kind: str) -> None:
        """Once per budget, period and threshold: ``alerted`` remembers cheaply, the table's constraint for certain."""
        word = threshold if kind == Alert.Kind.THRESHOLD else kind
        if word in row.alerted:
            return
        row.alerted = [*row.alerted, word]
        self._dirty.add(row.pk)
        self._alerts.append(
            Alert(
                budget=row, budget_name=row.name, period_id=row.period_id, kind=kind, threshold=threshold,
                limit_nusd=row.limit_nusd, spent_nusd=row.posted_nusd, created_at=self._now,
            )
        )  # fmt: skip

    def _roll(self, row: Budget) -> None:
        """Enter the period that the clock names. Its figures are the ledger's: none for a new one, what they were for one that a jumping
        clock or an edited budget returns to. Nothing is reset twice and nothing is lost."""
        current = period_id(row.period, row.timezone, self._now)
        if row.period_id == current:
            return
        entries = LedgerEntry.objects.filter(budget=row, period_id=current).order_by().values_list("state")
        sums = {state: total for state, total in entries.annotate(total=Sum("amount_nusd")) if total}
        row.period_id, row.alerted = current, []
        row.posted_nusd, row.held_nusd = max(0, sums.get("posted", 0)), sums.get("held", 0)
        self._dirty.add(row.pk)

    def _refusal(self, row: Budget, amount: int) -> GatewayError | None:
        limit = row.limit_nusd
        if row.posted_nusd + row.held_nusd + amount <= limit:
            return None
        _, end = period_bounds(row.period, row.timezone, self._now)
        reset_at = end.astimezone(UTC).isoformat() if end else None
        details = {"budget": row.name, "limit_usd": format_usd(limit), "spent_usd": format_usd(row.posted_nusd), "reset_at": reset_at}
        if amount > limit:
            return RequestExceedsBudget(
                f"This request could cost up to {format_usd(amount)} USD, more than the whole budget “{row.name}” "
                f"({format_usd(limit)} USD). Lower max_tokens or ask for a larger budget.",
                details=details,
            )
        if row.posted_nusd + amount <= limit:
            return BudgetInFlight(
                f"The budget “{row.name}” is reserved by requests that are running; try again when they end.",
                retry_after_s=IN_FLIGHT_WAIT_S,
                details=details,
            )
        wait = (end - self._now).total_seconds() if end else None
        until = f" It resets at {reset_at}." if reset_at else ""
        return BudgetExhausted(
            f"The budget “{row.name}” is used up: {format_usd(row.posted_nusd)} of {format_usd(limit)} USD.{until}",
            retry_after_s=wait if wait is not None and wait <= 60 else None,
            details=details,
        )


def foresee(ids: Iterable[int], amount: int, now: datetime) -> list[Foreseen]:
    """What a hold of ``amount`` would meet now, in the order of ``ids``. Locks and writes nothing."""
    book = BudgetBook((), now)
    wanted = list(dict.fromkeys(ids))
    rows = {row.pk: row for row in Budget.objects.filter(pk__in=wanted, enabled=True)}
    found = []
    for row in (rows[pk] for pk in wanted if pk in rows):
        book._roll(row)
        found.append(
            Foreseen(
                id=row.pk,
                name=row.name,
                period=row.period,
                hard=row.hard,
                limit_nusd=row.limit_nusd,
                spent_nusd=row.posted_nusd,
                held_nusd=row.held_nusd,
                refusal=book._refusal(row, amount) if row.hard else None,
            )
        )
    return found
