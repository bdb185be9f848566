"""The journal: one thread with its own connection writes open rows, holds, attempts and settlements in group commits.

It takes whatever is queued, writes it in one transaction, wakes the waiters, repeats: under load batches form by themselves, alone a
request waits for one commit. It ends by being told to and waited for, never by being cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import IntegrityError, connection, transaction

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import GatewayError, StoreBusy, StoreFull, StoreUnavailable
from llm_gateway.engine.ports import Opening, Rejection, Settlement
from llm_gateway.models import LedgerEntry, RequestLog

from . import vault
from .holds import BudgetBook
from .rows import Writer, plain
from .spool import Spool

log = logging.getLogger("cogo.journal")

MAX_BATCH = 512
MAX_QUEUE = 20_000
WAIT_S = 15.0


class _Op:
    """``work``: what to write. ``loop`` and ``future``: who waits; both ``None`` for nobody. ``error``: why it was not written."""

    __slots__ = ("abandoned", "error", "future", "kind", "loop", "work")

    def __init__(self, kind: str, work: Any, future: asyncio.Future[None] | None) -> None:
        self.kind = kind
        self.work = work
        self.future = future
        self.loop = future.get_loop() if future is not None else None
        self.error: Exception | None = None
        self.abandoned = False


class DatabaseJournal:
    """Implements the engine's ``Journal`` port. ``worker`` names this process; ``lease_s`` is how long an open row may go unrenewed."""

    def __init__(
        self, *, worker: str, spool_folder: Path, lease_s: float = 30.0, crossed: Callable[[list[tuple[int, int]]], None] | None = None
    ) -> None:
        self._worker = worker
        self._lease_s = lease_s
        self._crossed = crossed
        self._queue: queue.SimpleQueue[_Op] = queue.SimpleQueue()
        self._spool = Spool(spool_folder, worker)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._stopping = False
        self._failing_since: float | None = None
        self._writer: Writer | None = None
        self.batches = 0
        self.written = 0

    @property
    def healthy(self) -> bool:
        return self._thread.is_alive() and self._failing_since is None

    @property
    def backlog(self) -> int:
        return self._queue.qsize()

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Write what is queued and end the thread."""
        self._stopping = True
        await self._submit("stop", None)
        await asyncio.to_thread(self._thread.join, 10)

    async def open(self, opening: Opening) -> None:
        if self._queue.qsize() > MAX_QUEUE:
            raise StoreBusy("The gateway's log cannot keep up; try again shortly.", retry_after_s=1)
        await self._submit("open", opening)

    async def reserve(self, opening: Opening, target: Target, hold_nusd: int) -> None:
        await self._submit("reserve", (opening, target, hold_nusd))

    async def settle(self, settlement: Settlement) -> None:
        await self._submit("settle", plain(settlement))

    async def reject(self, rejection: Rejection) -> None:
        await self._submit("reject", rejection)

    async def _submit(self, kind: str, work: Any) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        op = _Op(kind, work, future)
        self._queue.put(op)
        try:
            if kind == "open":
                async with asyncio.timeout(WAIT_S):
                    await future
            else:
                await future
        except TimeoutError:
            self._abandon(op)
            raise StoreUnavailable("The gateway's database does not answer; try again shortly.", retry_after_s=2) from None
        except asyncio.CancelledError:
            self._abandon(op)
            raise

    def _abandon(self, op: _Op) -> None:
        """Nobody waits any more. An open row that was or will be written is closed again: nothing was sent for it."""
        if op.kind == "open":
            op.abandoned = True
            self._queue.put(_Op("void", op.work, None))

    # What follows runs in the journal's thread.

    def _run(self) -> None:
        tick = 0.0
        while True:
            batch = self._take(max(0.0, tick - time.monotonic()))
            if batch:
                self._write(batch)
            if any(op.kind == "stop" for op in batch):
                self._wake([op for op in batch if op.kind == "stop"])
                connection.close()
                return
            if time.monotonic() >= tick:
                tick = time.monotonic() + min(5.0, self._lease_s / 3)
                self._maintain()

    def _take(self, timeout: float) -> list[_Op]:
        try:
            batch = [self._queue.get(timeout=timeout or 0.001)]
        except queue.Empty:
            return []
        while len(batch) < MAX_BATCH:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _write(self, batch: list[_Op]) -> None:
        todo = [op for op in batch if op.kind != "stop"]
        if not todo:
            return
        try:
            crossed = self._commit(todo)
        except IntegrityError:
            # One bad row must not take its neighbours along.
            crossed = []
            for op in todo:
                op.error = None
                try:
                    crossed += self._commit([op])
                except (DatabaseError, ValueError, TypeError) as error:
                    self._failed([op], error)
        except (DatabaseError, ValueError, TypeError) as error:
            self._failed(todo, error)
            crossed = []
        else:
            self._failing_since = None
            self.batches += 1
            self.written += len(todo)
        self._wake(todo)
        if crossed and self._crossed:
            self._crossed(crossed)

    def _commit(self, ops: list[_Op]) -> list[tuple[int, int]]:
        now = datetime.now(UTC)
        with transaction.atomic():
            writer = self._writer = self._writer or Writer()
            opens = [op for op in ops if op.kind == "open" and not op.abandoned]
            settles: list[Mapping[str, Any]] = [op.work for op in ops if op.kind == "settle"]
            voids = [op.work for op in ops if op.kind == "void"]
            held = self._held_entries([s["id"] for s in settles if s["held"]] + [o.call.id.hex for o in voids])
            wanted = {budget for op in opens for budget in op.work.budgets}
            wanted |= {budget for op in ops if op.kind == "reserve" for budget in op.work[1].budgets}
            book = BudgetBook(wanted | {entry.budget_id for entries in held.values() for entry in entries if entry.budget_id}, now)
            # Ends before beginnings: what they release may let the next one in.
            self._resolve(settles, held, book, now)
            self._void(voids, held, book, now, writer)
            entries: list[tuple[UUID, int, str, int, float, str]] = []
            granted = []
            for op in ops:
                if op.kind == "open" and not op.abandoned:
                    if self._grant(op, op.work, op.work.budgets, op.work.hold_nusd, book, entries):
                        granted.append(op.work)
                elif op.kind == "reserve":
                    opening, target, amount = op.work
                    extra = tuple(b for b in target.budgets if b not in opening.budgets)
                    self._grant(op, opening, extra, amount, book, entries)
            writer.opened(granted, self._worker, now + timedelta(seconds=self._lease_s))
            writer.ledger(entries)
            writer.settled(settles)
            writer.rejected([op.work for op in ops if op.kind == "reject"])
            texts = [s for s in settles if s["prompt"] is not None or s["answer"] is not None]
            writer.bodies((s["id"], s["row"]["finished_at"], _sealed(s, "prompt"), _sealed(s, "answer")) for s in texts)
            book.save()
            return book.crossed

    def _grant(
        self, op: _Op, opening: Opening, budgets: tuple[int, ...], amount: int, book: BudgetBook,
        entries: list[tuple[UUID, int, str, int, float, str]],
    ) -> bool:  # fmt: skip
        try:
            held = book.hold(budgets, amount) if budgets else []
        except GatewayError as error:
            op.error = error
            return False
        entries += [(opening.call.id, budget, period, amount, opening.at, "") for budget, period in held]
        return True

    @staticmethod
    def _held_entries(ids: list[str]) -> dict[str, list[LedgerEntry]]:
        found: dict[str, list[LedgerEntry]] = {}
        if ids:
            rows = LedgerEntry.objects.select_for_update().filter(request_id__in=[UUID(i) for i in ids], state="held")
            for entry in rows.order_by("pk"):
                found.setdefault(entry.request_id.hex, []).append(entry)
        return found

    @staticmethod
    def _resolve(settles: list[Mapping[str, Any]], held: dict[str, list[LedgerEntry]], book: BudgetBook, now: datetime) -> None:
        changed = []
        for settlement in settles:
            for entry in held.pop(settlement["id"], ()):
                charge = settlement["charge"]
                entry.state = "posted" if charge else "voided"
                entry.amount_nusd = charge
                entry.resolved_at = now
                changed.append(entry)
                if entry.budget_id:
                    book.resolve(entry.budget_id, entry.period_id, entry.held_nusd, charge)
        if changed:
            LedgerEntry.objects.bulk_update(changed, ["state", "amount_nusd", "resolved_at"])

    @staticmethod
    def _void(voids: list[Opening], held: dict[str, list[LedgerEntry]], book: BudgetBook, now: datetime, writer: Writer) -> None:
        for opening in voids:
            for entry in held.pop(opening.call.id.hex, ()):
                entry.state, entry.amount_nusd, entry.resolved_at = "voided", 0, now
                entry.save(update_fields=["state", "amount_nusd", "resolved_at"])
                if entry.budget_id:
                    book.resolve(entry.budget_id, entry.period_id, entry.held_nusd, 0)
            RequestLog.objects.filter(pk=opening.call.id, state="open").update(
                state="client_cancelled", finished_at=now, lease_until=None, cost_nusd=0
            )

    def _failed(self, ops: list[_Op], error: Exception) -> None:
        connection.close()
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            log.error("the journal cannot write", extra={"reason": f"{type(error).__name__}: {error}"[:300]})
        told = _store_error(error)
        settles = [op.work for op in ops if op.kind == "settle"]
        if settles:
            try:
                self._spool.keep(settles)
            except OSError as spool_error:
                log.critical("settlements could be neither committed nor spooled", extra={"count": len(settles), "reason": str(spool_error)})
        for op in ops:
            op.error = None if op.kind == "settle" else told

    @staticmethod
    def _wake(ops: list[_Op]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Op]] = {}
        for op in ops:
            if op.loop is not None:
                by_loop.setdefault(op.loop, []).append(op)
        for loop, done in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve_futures, done)
            except RuntimeError:
                continue  # that loop has ended; nobody waits there

    def _maintain(self) -> None:
        """Renew our leases, reap what others left, bring in the spool."""
        from .reaper import reap

        now = datetime.now(UTC)
        try:
            RequestLog.objects.filter(worker=self._worker, state="open").update(lease_until=now + timedelta(seconds=self._lease_s))
            reap(now)
            self._failing_since = None
            if self._spool.pending:
                for path, settlements in self._spool.take():
                    for start in range(0, len(settlements), MAX_BATCH):
                        self._commit([_Op("settle", s, None) for s in settlements[start : start + MAX_BATCH]])
                    path.unlink()
        except (DatabaseError, OSError) as error:
            connection.close()
            if self._failing_since is None:
                self._failing_since = time.monotonic()
                log.error("the journal cannot reach its database", extra={"reason": f"{type(error).__name__}: {error}"[:300]})


def _resolve_futures(ops: list[_Op]) -> None:
    for op in ops:
        future = op.future
        if future is None or future.done():
            continue
        if op.error is None:
            future.set_result(None)
        else:
            future.set_exception(op.error)


def _store_error(error: Exception) -> GatewayError:
    text = str(error).lower()
    if "locked" in text or "deadlock" in text or "timeout" in text:
        return StoreBusy("The gateway's database is busy; try again shortly.", retry_after_s=1)
    if "full" in text or "no space" in text or "readonly" in text:
        return StoreFull("The gateway's disk is full, so nothing can be logged or sent; the operator has to free space.", retry_after_s=30)
    return StoreUnavailable("The gateway's database is not available; try again shortly.", retry_after_s=2)


def _sealed(settlement: Mapping[str, Any], field: str) -> str:
    text = settlement[field]
    return vault.seal(text, place=f"requestbody:{settlement['id']}:{field}") if text else ""
