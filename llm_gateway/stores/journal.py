"""The journal: one thread with its own connection writes open rows, holds, attempts and settlements in group commits.

It takes whatever is queued, writes it in one transaction, wakes the waiters, repeats: under load batches form by themselves, alone a
request waits for one commit. It ends by being told to and waited for, never by being cancelled.

A database that is away, locked, full or read-only refuses new requests at once and keeps settlements in the spool, until a commit
succeeds again.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from django.db import Error as DatabaseError
from django.db import connection

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import CallerLeft, GatewayError, StoreBusy, StoreUnavailable
from llm_gateway.engine.ports import Opening, Rejection, Settlement

from . import connecting, vault
from .batch import Void, commit, wake
from .columns import FLAGS
from .known import Op
from .leases import Clock, Leases
from .outage import Verdict, busy, full, judge, store_error
from .plain import Ended, bare, plain
from .reaper import reap
from .rows import Writer
from .spool import Spool

log = logging.getLogger("cogo.journal")

MAX_BATCH = 512
MAX_QUEUE = 20_000
# Longer than the database is waited for, so that its own answer comes first.
WAIT_S = 15.0
PROBE_S = 0.5
# So often a replay may fail on a database that takes other writes before each of its settlements is tried alone.
REPLAYS = 3
_DEADLOCK_TRIES = 3
_TEXTS: tuple[Literal["prompt"], Literal["answer"]] = ("prompt", "answer")
_CLOSED = "The gateway is shutting down; send the request again."


class DatabaseJournal:
    """Implements the engine's ``Journal`` port. ``worker`` names this process; ``lease_s`` is how long an open row may go unrenewed."""

    def __init__(self, *, worker: str, spool_folder: Path, lease_s: float = 30.0) -> None:
        self._worker = worker
        self._lease_s = lease_s
        self._queue: queue.SimpleQueue[Op] = queue.SimpleQueue()
        self._spool = Spool(spool_folder, worker)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._gate = threading.Lock()
        self._closed = False
        self._trouble: GatewayError | None = None
        self._writer: Writer | None = None
        # In no file: settlements that a full disk took no more, ends of rows of which nobody knows whether they exist.
        self._unspooled: list[Ended] = []
        self._unsure: list[Op] = []
        self._clock = Clock()
        self._leases = Leases(worker, lease_s)
        self._failed_replays = 0
        self.batches = 0
        self.written = 0

    @property
    def healthy(self) -> bool:
        return self._thread.is_alive() and self._trouble is None

    @property
    def backlog(self) -> int:
        return self._queue.qsize()

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Write what is queued and end the thread. What comes after it is spooled (settlements) or refused."""
        if self._thread.is_alive():
            self._queue.put(Op("stop", None))
            await asyncio.to_thread(self._thread.join, 30)

    async def open(self, opening: Opening) -> None:
        if self._trouble is not None:
            raise _again(self._trouble)
        if self._queue.qsize() > MAX_QUEUE:
            raise StoreBusy("The gateway's log cannot keep up; try again shortly.", retry_after_s=1)
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        op = Op("open", opening, answered)
        late_at = loop.call_later(WAIT_S, _give_up, answered)
        try:
            self._put(op)
            await answered
        except TimeoutError:
            late = StoreUnavailable("The gateway's database does not answer; try again shortly.", retry_after_s=2)
            self._abandon(op, late)
            raise late from None
        except asyncio.CancelledError:
            self._abandon(op, CallerLeft("The caller left before anything was sent for it."))
            raise
        finally:
            late_at.cancel()

    async def reserve(self, opening: Opening, target: Target, hold_nusd: int) -> None:
        await self._put(Op("reserve", (opening, target, hold_nusd), asyncio.get_running_loop().create_future()))

    async def settle(self, settlement: Settlement) -> None:
        await self._put(Op("settle", plain(settlement), asyncio.get_running_loop().create_future()))

    async def reject(self, rejection: Rejection) -> None:
        await self._put(Op("reject", rejection, asyncio.get_running_loop().create_future()))

    def _put(self, op: Op) -> asyncio.Future[None]:
        """What to wait for."""
        with self._gate:
            if not self._closed:
                self._queue.put(op)
        if self._closed and op.future is not None and not op.future.done():
            self._after_the_end([op])
        assert op.future is not None
        return op.future

    def _abandon(self, op: Op, why: GatewayError) -> None:
        """Nobody waits any more. A row that was or will be written is closed again: nothing was sent for it."""
        op.abandoned = True
        self._queue.put(Op("void", Void(op.work, why)))

    # What follows runs in the journal's thread.

    def _run(self) -> None:
        connecting.take_own_connection()
        tick = 0.0
        stopping = False
        while not stopping:
            batch = self._take(max(0.0, tick - time.monotonic()))
            stopping = any(op.kind == "stop" for op in batch)
            todo = [op for op in batch if op.kind != "stop"]
            try:
                if todo:
                    self._write(todo)
                    if self._trouble is not None:
                        tick = min(tick, time.monotonic() + PROBE_S)
                if time.monotonic() >= tick:
                    self._maintain()
                    tick = time.monotonic() + (PROBE_S if self._trouble else min(5.0, self._lease_s / 3))
            except Exception:
                # Whatever it is, requests must not wait for a thread that is gone.
                log.exception("the journal failed")
                self._disconnect()
                self._refuse(todo, StoreUnavailable("The gateway's log failed; try again shortly.", retry_after_s=2))
            wake(todo)
        with self._gate:
            self._closed = True
        self._after_the_end(self._take(0.0))
        self._sign_off()
        self._disconnect()

    def _take(self, timeout: float) -> list[Op]:
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

    def _write(self, ops: Sequence[Op]) -> None:
        for op in ops:
            if op.kind == "settle":
                _seal(op.work)
        if self._trouble is not None:
            # Only maintenance asks whether it is over, so that nobody waits for a database that was away a moment ago.
            return self._refuse(ops, self._trouble)
        try:
            self._commit(ops)
        except Exception as error:
            if full(error) and _drop_texts(ops):
                return self._write(ops)
            if judge(error) is not Verdict.BAD_ROW:
                return self._failed(ops, error)
            # One bad row must not take its neighbours along.
            self._disconnect()
            if len(ops) == 1:
                return self._unwritable(ops[0], error)
            for op in ops:
                op.error = None
                self._write([op])
        return None

    def _commit(self, ops: Sequence[Op]) -> None:
        for left in reversed(range(_DEADLOCK_TRIES)):
            self._connect()
            assert self._writer is not None
            try:
                commit(list(ops), self._writer, self._worker, self._lease_s, datetime.now(UTC))
            except DatabaseError as error:
                if not left or judge(error) is not Verdict.AGAIN:
                    raise
                for op in ops:
                    op.error = None
                continue
            self._trouble = None
            self.batches += 1
            self.written += len(ops)
            self._leases.opened(op.work for op in ops if op.kind == "open" and op.error is None and not op.abandoned)
            self._leases.ended(op.work for op in ops if op.kind == "settle")
            return

    def _failed(self, ops: Sequence[Op], error: Exception) -> None:
        """The database is away, or takes no writes."""
        self._disconnect()
        if self._trouble is None:
            log.error("the journal cannot write", extra={"reason": f"{type(error).__name__}: {error}"[:300]})
        self._trouble = store_error(error)
        if not busy(error):
            connecting.renew_pool()
            self._clock.shaken(time.monotonic(), self._lease_s)
        # The commit may have arrived although its answer did not: what was opened for nothing is closed when the database is back.
        self._unsure += [Op("void", Void(op.work, self._trouble)) for op in ops if op.kind == "open" and not op.abandoned]
        self._refuse(ops, self._trouble)

    def _refuse(self, ops: Sequence[Op], told: GatewayError) -> None:
        self._keep([op.work for op in ops if op.kind == "settle"])
        self._unsure += [op for op in ops if op.kind == "void"]
        for op in ops:
            op.error = None if op.kind == "settle" else _again(told)

    def _unwritable(self, op: Op, error: Exception) -> None:
        log.critical("a row cannot be written", extra={"kind": op.kind, "reason": f"{type(error).__name__}: {error}"[:300]})
        if op.kind != "settle":
            op.error = StoreUnavailable("The gateway cannot log this request; the operator finds the reason in its log.", retry_after_s=2)
            return None
        # Its money is booked without what was refused, which a person finds beside the spool.
        try:
            self._spool.keep([op.work], bad=True)
        except OSError:
            log.exception("a settlement could not be set aside")
        rest = Op("settle", bare(op.work))
        try:
            self._commit([rest])
        except Exception as again:
            self._disconnect()
            if judge(again) is not Verdict.BAD_ROW and not self._takes_writes():
                return self._failed([rest], again)
            # Nobody renews its lease any more: the reaper ends the row and charges its hold.
            self._leases.ended([op.work])
            log.exception("a settlement could not be booked")

    def _takes_writes(self) -> bool:
        """Whether the database is there, so that what was just refused is itself the reason."""
        try:
            self._connect()
            self._leases.renew(datetime.now(UTC), self._kept())
        except (DatabaseError, OSError):
            return False
        return True

    def _keep(self, settlements: list[Ended]) -> None:
        if settlements:
            self._leases.waiting(settlements)
            try:
                self._spool.keep(settlements)
            except OSError as error:
                log.critical("settlements stay in memory", extra={"count": len(settlements), "reason": str(error)})
                self._unspooled += settlements

    def _after_the_end(self, ops: Sequence[Op]) -> None:
        for op in ops:
            if op.kind == "settle":
                _seal(op.work)
        self._refuse(ops, StoreUnavailable(_CLOSED, retry_after_s=2))
        wake(ops)

    def _maintain(self) -> None:
        """Renew our leases, bring in what was kept, reap what others left."""
        try:
            self._connect()
            now = datetime.now(UTC)
            self._leases.renew(now, self._kept())
            self._trouble = None
            self._bring_in()
            # After a jump of the clock every lease looks old (or young) until each process has renewed its own.
            if self._clock.steady(time.time(), time.monotonic(), self._lease_s):
                reap(now)
        except (DatabaseError, OSError) as error:
            self._failed((), error)

    def _bring_in(self) -> None:
        """What was kept while the database was away."""
        kept, self._unspooled = self._unspooled, []
        self._keep(kept)
        unsure, self._unsure = self._unsure, []
        if unsure:
            self._write(unsure)
        if self._trouble is None and self._spool.pending:
            for path, settlements in self._spool.take():
                self._replay(settlements)
                # What failed again was kept again, under another name.
                path.unlink(missing_ok=True)
            self._failed_replays = 0 if self._trouble is None else self._failed_replays + 1  # type: ignore[redundant-expr]  # replaying sets it
        if self._trouble is None and not self._unspooled and not self._spool.pending:
            self._leases.nothing_waits()

    def _replay(self, settlements: list[Ended]) -> None:
        """One settlement that the database always refuses must not keep all others, and every new request, waiting for ever."""
        if self._failed_replays < REPLAYS:
            for start in range(0, len(settlements), MAX_BATCH):
                self._write([Op("settle", s) for s in settlements[start : start + MAX_BATCH]])
            return
        for op in [Op("settle", s) for s in settlements]:
            if self._trouble is not None:
                self._refuse([op], self._trouble)
                continue
            try:
                self._commit([op])
            except Exception as error:
                self._disconnect()
                if judge(error) is Verdict.BAD_ROW or self._takes_writes():
                    self._unwritable(op, error)
                else:
                    self._failed([op], error)

    def _kept(self) -> dict[str, int]:
        kept, set_aside = self._spool.counts()
        return {"spooled": kept + len(self._unspooled), "set_aside": set_aside}

    def _connect(self) -> None:
        if connection.connection is None:
            connection.ensure_connection()
            if connection.vendor == "sqlite":
                with connection.cursor() as cursor:
                    cursor.execute(f"PRAGMA busy_timeout = {connecting.LOCK_WAIT_MS}")
        self._writer = self._writer or Writer()

    def _sign_off(self) -> None:
        try:
            if self._trouble is None:
                self._connect()
                self._leases.leave()
        except DatabaseError as error:
            log.warning("the worker could not sign off", extra={"reason": type(error).__name__})

    @staticmethod
    def _disconnect() -> None:
        try:
            connection.close()
        except DatabaseError:
            connection.connection = None


def _give_up(answered: asyncio.Future[None]) -> None:
    if not answered.done():
        answered.set_exception(TimeoutError())


def _seal(settlement: Ended) -> None:
    """Texts are encrypted before they are written anywhere, and outside the transaction."""
    if settlement["sealed"]:
        return
    for field in _TEXTS:
        if text := settlement[field]:
            settlement[field] = vault.seal(text.encode("utf-8", "replace").decode(), place=f"requestbody:{settlement['id']}:{field}")
    settlement["sealed"] = True


def _drop_texts(ops: Sequence[Op]) -> bool:
    """On a full disk texts go first. Whether there were any."""
    found = False
    for op in ops:
        if op.kind == "settle" and (op.work["prompt"] or op.work["answer"]):
            op.work["prompt"] = op.work["answer"] = None
            op.work["row"][FLAGS] = f"{op.work['row'][FLAGS]} body_dropped".strip()[:100]
            found = True
        op.error = None
    return found


def _again(error: GatewayError) -> GatewayError:
    """The same for another caller: an exception carries its traceback, so it is not shared."""
    return type(error)(error.message, retry_after_s=error.retry_after_s)
