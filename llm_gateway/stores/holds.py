"""Budgets inside one transaction: counters are locked, changed in memory, written back once.

SQLite's writer lock (BEGIN IMMEDIATE) and PostgreSQL's row locks, taken in id order, make the check and the change one step for every
process: ``posted + held <= limit`` holds at each commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from llm_gateway.core.errors import BudgetExhausted, BudgetInFlight, GatewayError, RequestExceedsBudget
from llm_gateway.core.money import format_usd
from llm_gateway.models import Budget
from llm_gateway.policies.periods import period_bounds, period_id

_COUNTERS = ("period_id", "posted_nusd", "held_nusd", "alerted")


class BudgetBook:
    """The budgets one batch touches. ``save`` writes what changed; the journal reads ``crossed`` for alerts."""

    def __init__(self, ids: Iterable[int], now: datetime) -> None:
        wanted = sorted(set(ids))
        self._now = now
        self._rows: dict[int, Budget] = {}
        self._dirty: set[int] = set()
        self.crossed: list[tuple[int, int]] = []
        if wanted:
            for row in Budget.objects.select_for_update().filter(pk__in=wanted).order_by("pk"):
                self._rows[row.pk] = row
                self._roll(row)

    def hold(self, ids: Iterable[int], amount: int) -> list[tuple[int, str]]:
        """Reserve ``amount`` against all of ``ids`` or none; returns (budget, period) pairs. Raises the budget errors."""
        rows = [self._rows[i] for i in ids if i in self._rows and self._rows[i].enabled]
        for row in rows:
            error = self._refusal(row, amount) if row.hard else None
            if error:
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
            edge = row.limit_nusd * threshold / 100
            if before < edge <= row.posted_nusd and threshold not in row.alerted:
                row.alerted = [*row.alerted, threshold]
                self.crossed.append((budget_id, threshold))

    def save(self) -> None:
        rows = [self._rows[i] for i in sorted(self._dirty)]
        if rows:
            Budget.objects.bulk_update(rows, _COUNTERS)

    def _roll(self, row: Budget) -> None:
        current = period_id(row.period, row.timezone, self._now)
        # Names of periods sort by time: a clock that jumped back must not reopen an old period and lose this one's figures.
        if row.period_id == current or (row.period_id and row.period_id > current and len(row.period_id) == len(current)):
            return
        row.period_id, row.posted_nusd, row.held_nusd, row.alerted = current, 0, 0, []
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
                f"This request could cost up to {format_usd(amount)} USD, more than the whole budget “{row.name}” ({format_usd(limit)} USD). "
                "Lower max_tokens or ask for a larger budget.",
                details=details,
            )
        if row.posted_nusd + amount <= limit:
            return BudgetInFlight(
                f"The budget “{row.name}” is reserved by requests that are running; try again when they end.",
                retry_after_s=2,
                details=details,
            )
        wait = (end - self._now).total_seconds() if end else None
        until = f" It resets at {reset_at}." if reset_at else ""
        return BudgetExhausted(
            f"The budget “{row.name}” is used up: {format_usd(row.posted_nusd)} of {format_usd(limit)} USD.{until}",
            retry_after_s=wait if wait is not None and wait <= 60 else None,
            details=details,
        )
