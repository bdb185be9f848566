"""One group commit: what the journal took from its queue, written in one transaction.

Requests, then ledger entries, then budgets are locked, each in id order, here and in the reaper: on PostgreSQL no two processes wait for
each other, on SQLite BEGIN IMMEDIATE lets one in at a time. Whatever is written twice is written once: a hold resolves at most once, and
only an open row ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from llm_gateway.core.errors import CallerLeft, GatewayError, StoreUnavailable
from llm_gateway.core.outcomes import RequestState
from llm_gateway.engine.ports import Opening, Rejection

from .columns import FINISHED_AT
from .connecting import short_transaction
from .holds import BudgetBook
from .known import Op, claims_of, grant, write_known
from .late import adjust, late_budgets
from .plain import Ended
from .rows import Claim, Held, Ledgered, Writer


def wake(ops: Iterable[Op]) -> None:
    """Tell those who wait how it went, each on its own loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Op]] = {}
    for op in ops:
        if op.loop is not None:
            by_loop.setdefault(op.loop, []).append(op)
    for loop, done in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve_futures, done)
        except RuntimeError:
            continue  # that loop has ended; nobody waits there


def _resolve_futures(ops: list[Op]) -> None:
    for op in ops:
        future = op.future
        if future is None or future.done():
            continue
        if op.error is None:
            future.set_result(None)
        else:
            future.set_exception(op.error)


class Void(msgspec.Struct, frozen=True):
    """An open row that was, or may have been, written and for which nothing was sent."""

    opening: Opening
    error: GatewayError


def commit(ops: list[Op], writer: Writer, worker: str, lease_s: float, now: datetime) -> None:
    """Write ``ops``. A refused one carries its ``error``; the others are committed. What the database raises, it raises for all of them."""
    try:
        _write(ops, writer, worker, now + timedelta(seconds=lease_s), now)
    except BaseException:
        # Whether it was committed is not known.
        writer.forget()
        raise


def _write(ops: list[Op], writer: Writer, worker: str, lease: datetime, now: datetime) -> None:
    """In one transaction, which is over when it returns."""
    if write_known(ops, writer, worker, lease, now):
        return
    with short_transaction():
        granted = _write_unknown(ops, writer, worker, lease, now)
    for op in ops:
        match op.kind:
            case "settle":
                writer.claims.pop(op.work["id"], None)
            case "void":
                writer.claims.pop(op.work.opening.call.id.hex, None)
            case "reserve":
                # More is held for it than it was opened with.
                writer.claims.pop(op.work[0].call.id.hex, None)
    writer.claims |= granted


def _write_unknown(ops: list[Op], writer: Writer, worker: str, lease: datetime, now: datetime) -> dict[str, tuple[Claim, ...]]:
    """The careful way: what is in the database is read and locked before it is changed. Returns the claims of what was opened."""
    writer.run.by_keys()
    settles: list[Ended] = [op.work for op in ops if op.kind == "settle"]
    voids: list[Void] = [op.work for op in ops if op.kind == "void"]
    opens = [op for op in ops if op.kind == "open" and not op.abandoned]
    reserves = [op for op in ops if op.kind == "reserve"]
    ended = {s["id"] for s in settles} | {v.opening.call.id.hex for v in voids}
    states = writer.states((*ended, *(op.work[0].call.id.hex for op in reserves)))
    ending, late = _first_ends(settles, states)
    voided = [v for v in voids if states.get(v.opening.call.id.hex) == RequestState.OPEN]
    held = writer.held([s["id"] for s in ending] + [v.opening.call.id.hex for v in voided])
    reserved = writer.budgets_of([op.work[0].call.id.hex for op in reserves])

    wanted = {budget for op in opens for budget in op.work.budgets}
    wanted |= {budget for op in reserves for budget in op.work[1].budgets}
    wanted |= {entry.budget for entries in held.values() for entry in entries if entry.budget}
    book = BudgetBook(wanted | late_budgets(late), now)

    # Ends before beginnings: what they release may let the next one in.
    resolved = [entry for s in ending for entry in _resolve(held.get(s["id"], ()), s, book)]
    resolved += [entry for v in voided for entry in _resolve(held.get(v.opening.call.id.hex, ()), None, book)]
    writer.resolved(resolved, now)
    writer.settled(ending)
    for settlement in late:
        adjust(settlement, book, writer, now)
    for void in voided:
        writer.voided(void.opening, void.error, now)

    entries: list[Ledgered] = []
    granted = [op.work for op in opens if grant(op, op.work, op.work.budgets, op.work.hold_nusd, book, entries)]
    claims = claims_of(granted, entries, book)
    for op in reserves:
        opening, target, amount = op.work
        if states.get(opening.call.id.hex) == RequestState.OPEN and opening.call.id.hex not in ended:
            known = reserved.get(opening.call.id.hex, ())
            grant(op, opening, tuple(b for b in target.budgets if b not in known), amount, book, entries)
        else:
            op.error = StoreUnavailable("The request's log row was closed while it ran; send it again.", retry_after_s=1)
    writer.opened(granted, worker, lease)
    writer.ledger(entries)
    writer.rejected([op.work for op in ops if op.kind == "reject"])
    # Given up before it was written: it still gets its one row.
    writer.rejected([_never_opened(v) for v in voids if v.opening.call.id.hex not in states])
    writer.bodies((s["id"], s["row"][FINISHED_AT], s["prompt"] or "", s["answer"] or "") for s in ending if s["prompt"] or s["answer"])
    book.save()
    return claims


def _first_ends(settles: list[Ended], states: dict[str, str]) -> tuple[list[Ended], list[Ended]]:
    """(settlements of open rows, those of rows the reaper has closed), each request once; any other has been written before."""
    ending, late = [], []
    seen = set()
    for settlement in settles:
        key = settlement["id"]
        if key in seen:
            continue
        seen.add(key)
        state = states.get(key)
        if state == RequestState.OPEN:
            ending.append(settlement)
        elif state == RequestState.ORPHANED:
            late.append(settlement)
    return ending, late


def _resolve(entries: Iterable[Held], settlement: Ended | None, book: BudgetBook) -> list[tuple[int, int]]:
    """(entry, what it is charged in the end), each once; nothing without a settlement."""
    found = []
    for entry in entries:
        charge = 0 if settlement is None else book.share(entry.budget or 0, settlement)
        if entry.budget:
            book.resolve(entry.budget, entry.period, entry.amount, charge)
        found.append((entry.id, charge))
    return found


def _never_opened(void: Void) -> Rejection:
    state = RequestState.CLIENT_CANCELLED if isinstance(void.error, CallerLeft) else RequestState.REJECTED
    return Rejection(call=void.opening.call, at=void.opening.at, error=void.error, strategy=void.opening.strategy, state=state)
