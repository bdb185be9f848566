"""Budgets inside one transaction: counters are locked, changed in memory, written back once.

SQLite's writer lock (BEGIN IMMEDIATE) and PostgreSQL's row locks, taken in id order, make the check and the change one step for every
process: ``posted + held <= limit`` holds at each commit. Statements are written out: every commit of the journal comes through here, and
the ORM's ``bulk_update`` alone cost more than the rest of a commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import connection
from django.db.models import Sum

from llm_gateway.core.errors import BudgetExhausted, BudgetInFlight, GatewayError, RequestExceedsBudget
from llm_gateway.core.money import format_usd
from llm_gateway.models import Alert, Budget, LedgerEntry
from llm_gateway.policies.periods import Reset, period_bounds, period_id

from .plain import Ended

_TABLE = Budget._meta.db_table
_COLUMNS = (
    "id, name, hard, enabled, limit_nusd, period, timezone, thresholds, period_id, posted_nusd, held_nusd, alerted, provider_id, model_id, "
    "excess_nusd, reset_hour, reset_weekday, reset_monthday, extra_nusd, extra_until"
)
_SELECT = f'SELECT {_COLUMNS} FROM "{_TABLE}" WHERE id {{}} ORDER BY id'  # noqa: S608  # our own names
_UPDATE = f'UPDATE "{_TABLE}" SET period_id = %s, posted_nusd = %s, held_nusd = %s, excess_nusd = %s, alerted = %s WHERE id = %s'  # noqa: S608  # our own names
# Once what is above the limit stands as excess: the raise no longer has to account for it.
_END_RAISE = f'UPDATE "{_TABLE}" SET extra_nusd = 0, extra_until = NULL WHERE id = %s'  # noqa: S608  # our own names
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


class _Budget:
    """What of a row is read and counted. ``limit_nusd`` holds a raise that lasts; ``raise_over``: one has ended that the row still has."""

    __slots__ = (
        "alerted", "enabled", "excess_nusd", "hard", "held_nusd", "id", "limit_nusd", "model_id", "name", "period", "period_id",
        "posted_nusd", "provider_id", "raise_over", "reset", "thresholds", "timezone",
    )  # fmt: skip

    def __init__(self, row: tuple[Any, ...], now: datetime) -> None:
        self.id, self.name, self.hard, self.enabled, self.limit_nusd, self.period, self.timezone = row[:7]
        self.thresholds, self.alerted = _list(row[7]), _list(row[11])
        self.period_id, self.posted_nusd, self.held_nusd = row[8:11]
        self.provider_id, self.model_id, self.excess_nusd = row[12:15]
        self.reset = Reset(hour=row[15], weekday=row[16], monthday=row[17])
        extra, until = row[18], _moment(row[19])
        raised = until is not None and now < until
        self.limit_nusd += extra if raised else 0
        self.raise_over = not raised and (extra > 0 or until is not None)

    def word(self, kind: str) -> str:
        """How ``alerted`` remembers an alert that is about this limit as a whole."""
        return f"{kind}@{self.limit_nusd}"

    @property
    def words(self) -> tuple[str, ...]:
        return self.word(Alert.Kind.EXHAUSTED), self.word(Alert.Kind.TOO_SMALL), self.word(Alert.Kind.OVERRUN)

    def reached(self, posted_nusd: int) -> list[int]:
        """The thresholds that ``posted_nusd`` reaches."""
        return [threshold for threshold in self.thresholds if posted_nusd > 0 and self.limit_nusd * threshold <= posted_nusd * 100]

    @property
    def above_nusd(self) -> int:
        """What is spent and held above the limit."""
        return max(0, int(self.posted_nusd + self.held_nusd - self.limit_nusd))


class BudgetBook:
    """The budgets one batch touches. ``save`` writes what changed, with an alert for each threshold that was crossed."""

    def __init__(self, ids: Iterable[int], now: datetime, rows: dict[int, _Budget] | None = None) -> None:
        """``rows``: the budgets of ``ids`` where they are read and locked already."""
        self._now = now
        self._rows = _read(sorted(set(ids)), now, lock=True) if rows is None else rows
        self._dirty: set[int] = set()
        self._alerts: list[Alert] = []
        for row in self._rows.values():
            if row.raise_over:
                row.excess_nusd = max(row.excess_nusd, row.above_nusd)
                self._dirty.add(row.id)
            self._roll(row)

    def hold(self, ids: Iterable[int], amount: int) -> list[tuple[int, str]]:
        """Reserve ``amount`` against all of ``ids`` or none; returns (budget, period) pairs. Raises the budget errors."""
        rows = [self._rows[i] for i in ids if i in self._rows and self._rows[i].enabled]
        refusals = [(error, row) for row in rows if row.hard and (error := self._refusal(row, amount))]
        if refusals:
            for _, row in refusals:
                # Nothing may be charged any more: what a lowered limit has made true is told here or never.
                self._tell(row, row.posted_nusd)
            error, row = max(refusals, key=lambda found: _SEVERITY[type(found[0])])
            if isinstance(error, BudgetExhausted):
                # Holds keep a hard budget a little below its limit: whoever waits for "100 %" hears of the first refusal.
                self._alert(row, 100, Alert.Kind.EXHAUSTED)
            elif isinstance(error, RequestExceedsBudget):
                self._alert(row, 100, Alert.Kind.TOO_SMALL)
            error.budget_id = row.id
            raise error
        for row in rows:
            row.held_nusd += amount
            self._dirty.add(row.id)
        return [(row.id, row.period_id) for row in rows]

    def resolve(self, budget_id: int, period: str, held: int, posted: int) -> None:
        """A hold of ``held`` made in ``period`` ends with ``posted``. One made in a period that is over no longer counts in this one."""
        row = self._rows.get(budget_id)
        if row is None or row.period_id != period:
            return
        before = row.posted_nusd
        row.held_nusd -= held
        row.posted_nusd += posted
        self._dirty.add(budget_id)
        # Holds stay within the limit; only an end can take a budget above it.
        row.excess_nusd = row.above_nusd
        if row.posted_nusd > before:
            self._tell(row, before)
        if row.hard and row.posted_nusd + row.held_nusd > row.limit_nusd and posted > held:
            self._alert(row, 100, Alert.Kind.OVERRUN)

    def share(self, budget_id: int, settlement: Ended) -> int:
        """What of a settlement's charge falls on this budget: all of it, or the part of its provider or model."""
        row = self._rows.get(budget_id)
        return settlement["charge"] if row is None else share(settlement, row.provider_id, row.model_id)

    def owner(self, budget_id: int) -> tuple[int | None, int | None]:
        """(provider, model) that a budget is limited to."""
        row = self._rows[budget_id]
        return row.provider_id, row.model_id

    def concerns(self, budget_id: int, provider_id: int | None, model_id: int | None) -> bool:
        """Whether a request that this provider's model answered falls on this budget."""
        row = self._rows.get(budget_id)
        return row is None or (row.provider_id in (None, provider_id) and row.model_id in (None, model_id))

    def figures(self) -> list[tuple[Any, ...]] | None:
        """What changed: (id, then the columns of ``COUNTERS``). ``None`` where there is more to write than figures."""
        if self._alerts:
            return None
        rows = [self._rows[i] for i in sorted(self._dirty)]
        if any(row.raise_over for row in rows):
            return None
        return [(r.id, r.period_id, r.posted_nusd, r.held_nusd, r.excess_nusd, json.dumps(r.alerted) if r.alerted else "[]") for r in rows]

    def save(self) -> None:
        if self._dirty:
            rows = [self._rows[i] for i in sorted(self._dirty)]
            with connection.cursor() as cursor:
                values = [(r.period_id, r.posted_nusd, r.held_nusd, r.excess_nusd, json.dumps(r.alerted), r.id) for r in rows]
                cursor.executemany(_UPDATE, values)
                if over := [(r.id,) for r in rows if r.raise_over]:
                    cursor.executemany(_END_RAISE, over)
        if self._alerts:
            Alert.objects.bulk_create(self._alerts, ignore_conflicts=True)

    def _tell(self, row: _Budget, before_nusd: int) -> None:
        """An alert for each threshold that is reached and was not told; ``before_nusd``: what was spent before the charge at hand.
        Thresholds belong to a limit: one that a raise had put out of reach is armed again, one that stayed reached is not told twice."""
        if not row.thresholds:
            return
        still = row.reached(before_nusd)
        kept = [word for word in row.alerted if word in still or word in row.words]
        if kept != row.alerted:
            row.alerted = kept
            self._dirty.add(row.id)
        for threshold in row.reached(row.posted_nusd):
            self._alert(row, threshold, Alert.Kind.THRESHOLD)

    def _alert(self, row: _Budget, threshold: int, kind: str) -> None:
        """Once per budget, period, limit and threshold: ``alerted`` remembers cheaply, the table's constraint for certain."""
        word = threshold if kind == Alert.Kind.THRESHOLD else row.word(kind)
        if word in row.alerted:
            return
        row.alerted = [*row.alerted, word]
        self._dirty.add(row.id)
        self._alerts.append(
            Alert(
                budget_id=row.id, budget_name=row.name, period_id=row.period_id, kind=kind, threshold=threshold,
                limit_nusd=row.limit_nusd, spent_nusd=row.posted_nusd, created_at=self._now,
            )
        )  # fmt: skip

    def _roll(self, row: _Budget) -> None:
        """Enter the period that the clock names. Its figures are the ledger's: none for a new one, what they were for one that a jumping
        clock or an edited budget returns to. Nothing is reset twice and nothing is lost."""
        current = period_id(row.period, row.timezone, self._now, row.reset)
        if row.period_id == current:
            return
        entries = LedgerEntry.objects.filter(budget_id=row.id, period_id=current).order_by().values_list("state")
        sums = {state: total for state, total in entries.annotate(total=Sum("amount_nusd")) if total}
        row.period_id, row.alerted = current, []
        row.posted_nusd, row.held_nusd = max(0, sums.get("posted", 0)), sums.get("held", 0)
        row.excess_nusd = row.above_nusd
        self._dirty.add(row.id)

    def _refusal(self, row: _Budget, amount: int) -> GatewayError | None:
        limit = row.limit_nusd
        if amount <= 0:
            return None  # nothing more is no more, whatever was spent
        if row.posted_nusd + row.held_nusd + amount <= limit:
            return None
        _, end = period_bounds(row.period, row.timezone, self._now, row.reset)
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


def share(settlement: Ended, provider_id: int | None, model_id: int | None) -> int:
    """What of a settlement's charge falls on a budget of this provider or this model, or of neither."""
    charge, shares = settlement["charge"], settlement["shares"]
    if shares is None or (provider_id is None and model_id is None):
        return charge
    part = shares["provider"].get(str(provider_id), 0) if model_id is None else shares["model"].get(str(model_id), 0)
    return min(charge, part)


def budgets(rows: Iterable[tuple[Any, ...]], now: datetime) -> dict[int, _Budget] | None:
    """Budgets by id, from rows of :func:`selection`; ``None`` where one of them enters a period or leaves a raise, which asks for more than
    figures."""
    found = {row[0]: _Budget(row, now) for row in rows}
    for one in found.values():
        if one.raise_over or one.period_id != period_id(one.period, one.timezone, now, one.reset):
            return None
    return found


def selection() -> str:
    """The statement that reads budgets, on PostgreSQL locked; ``{}`` stands for the comparison with their ids."""
    return _SELECT if connection.vendor == "sqlite" else f"{_SELECT} FOR NO KEY UPDATE"


def foresee(ids: Iterable[int], amount: int, now: datetime) -> list[Foreseen]:
    """What a hold of ``amount`` would meet now, in the order of ``ids``. Locks and writes nothing."""
    book = BudgetBook((), now)
    wanted = list(dict.fromkeys(ids))
    rows = _read(sorted(wanted), now, lock=False)
    found = []
    for row in (rows[number] for number in wanted if number in rows and rows[number].enabled):
        book._roll(row)
        found.append(
            Foreseen(
                id=row.id,
                name=row.name,
                period=row.period,
                hard=bool(row.hard),
                limit_nusd=row.limit_nusd,
                spent_nusd=row.posted_nusd,
                held_nusd=row.held_nusd,
                refusal=book._refusal(row, amount) if row.hard else None,
            )
        )
    return found


def _read(ids: Sequence[int], now: datetime, *, lock: bool) -> dict[int, _Budget]:
    """Budgets by id, in the order of their ids; on PostgreSQL locked, where asked."""
    if not ids:
        return {}
    given = f"IN ({', '.join(['%s'] * len(ids))})"
    with connection.cursor() as cursor:
        cursor.execute((selection() if lock else _SELECT).format(given), ids)
        return {row[0]: _Budget(row, now) for row in cursor.fetchall()}


def _list(value: Any) -> list[Any]:
    if value == "[]":
        return []
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, list) else []


def _moment(value: Any) -> datetime | None:
    """As the driver gives it: SQLite's is a text without its zone, UTC."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found
