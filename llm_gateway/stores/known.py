"""The short way of a group commit: what this process opened itself it need not read again before it ends it.

Each statement names what it expects to find (an open row, an entry that holds so much in that period), and the database says how many rows
it found. One row fewer, and all is rolled back: the careful way reads, and decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.ports import Opening

from .columns import FINISHED_AT
from .holds import BudgetBook, budgets, selection, share
from .plain import Ended
from .rows import Claim, Ledgered, Writer


class Op:
    """``work``: what to write. ``loop`` and ``future``: who waits; both ``None`` for nobody. ``error``: why it was not written."""

    __slots__ = ("abandoned", "error", "future", "kind", "loop", "work")

    def __init__(self, kind: str, work: Any, future: asyncio.Future[None] | None = None) -> None:
        self.kind = kind
        self.work = work
        self.future = future
        self.loop = future.get_loop() if future is not None else None
        self.error: GatewayError | None = None
        self.abandoned = False


def write_known(ops: Sequence[Op], writer: Writer, worker: str, lease: datetime, now: datetime) -> bool:
    """Write and commit ``ops``, or nothing (``False``): one of them asks for the careful way. Raises what the database raises, with
    everything rolled back."""
    settles: list[Ended] = [op.work for op in ops if op.kind == "settle"]
    ids = {s["id"] for s in settles}
    if (
        connection.in_atomic_block
        or len(ids) != len(settles)
        or not writer.claims.keys() >= ids
        or any(op.kind in ("reserve", "void") for op in ops)
    ):
        return False
    opens = [op for op in ops if op.kind == "open" and not op.abandoned]
    try:
        writer.run.begin()
        claims = _changes(ops, settles, opens, writer, worker, lease, now)
        if claims is not None:
            writer.run.end()
    except BaseException:
        writer.run.undo()
        raise
    if claims is None:
        writer.run.undo()
        for op in ops:
            op.error = None
        return False
    for one in ids:
        del writer.claims[one]
    writer.claims |= claims
    return True


def _changes(
    ops: Sequence[Op], settles: list[Ended], opens: list[Op], writer: Writer, worker: str, lease: datetime, now: datetime
) -> dict[str, tuple[Claim, ...]] | None:
    """In the order of locks: requests, entries, budgets. ``None``: something is not as it was thought to be, or there is more to do."""
    settles.sort(key=_by_id)
    resolutions = [(s["id"], claim, share(s, claim.provider, claim.model)) for s in settles for claim in writer.claims[s["id"]]]
    writer.settled(settles)
    writer.claimed(resolutions, now)
    wanted = {budget for op in opens for budget in op.work.budgets} | {claim.budget for _, claim, _ in resolutions}
    rows = budgets(writer.run.among(selection(), sorted(wanted)) if wanted else (), now)
    if rows is None or not writer.run.kept():
        return None
    book = BudgetBook((), now, rows)
    # Ends before beginnings: what they release may let the next one in.
    for _, claim, charge in resolutions:
        if claim.budget not in rows or book.owner(claim.budget) != (claim.provider, claim.model):
            return None
        book.resolve(claim.budget, claim.period, claim.amount, charge)
    entries: list[Ledgered] = []
    granted = [op.work for op in opens if grant(op, op.work, op.work.budgets, op.work.hold_nusd, book, entries)]
    figures = book.figures()
    if figures is None:
        return None
    writer.opened(granted, worker, lease)
    writer.ledger(entries)
    writer.rejected([op.work for op in ops if op.kind == "reject"])
    writer.bodies((s["id"], s["row"][FINISHED_AT], s["prompt"] or "", s["answer"] or "") for s in settles if s["prompt"] or s["answer"])
    writer.counted(figures)
    return claims_of(granted, entries, book)


def _by_id(ended: Ended) -> str:
    return ended["id"]


def grant(op: Op, opening: Opening, budgets: tuple[int, ...], amount: int, book: BudgetBook, entries: list[Ledgered]) -> bool:
    """Hold what an opening asks for; what that makes for the ledger goes to ``entries``. ``False``: refused, and ``op`` carries why."""
    try:
        held = book.hold(dict.fromkeys(budgets), amount) if budgets else []
    except GatewayError as error:
        op.error = error
        return False
    entries += [(opening.call.id, budget, period, amount, opening.at, "") for budget, period in held]
    return True


def claims_of(granted: Sequence[Opening], entries: Sequence[Ledgered], book: BudgetBook) -> dict[str, tuple[Claim, ...]]:
    """By request, what ``entries`` hold for those that were opened."""
    found: dict[str, tuple[Claim, ...]] = {opening.call.id.hex: () for opening in granted}
    for request, budget, period, amount, _, _ in entries:
        found[request.hex] += (Claim(budget, period, amount, *book.owner(budget)),)
    return found
