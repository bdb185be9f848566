"""A settlement that comes after the reaper charged the whole hold: the row stays ``orphaned``, the difference is booked as adjustments.

It happens when a process was away longer than its lease (a stopped machine, a database that was gone) and then told what it knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from llm_gateway.models import LedgerEntry, RequestLog

from .columns import COST
from .holds import BudgetBook
from .plain import Ended
from .rows import Writer

WORD = "late"
_NOTE = "late settlement of an orphaned request"


def late_budgets(settlements: Sequence[Ended]) -> set[int]:
    """The budgets that adjustments of these touch."""
    if not settlements:
        return set()
    found = LedgerEntry.objects.filter(request_id__in=[UUID(s["id"]) for s in settlements], kind="request", state="posted")
    return set(found.exclude(budget=None).values_list("budget_id", flat=True))


def adjust(settlement: Ended, book: BudgetBook, writer: Writer, now: datetime) -> None:
    """Book what the request really cost against what was charged for it, once; fill in what the row could not know."""
    row = RequestLog.objects.get(pk=UUID(settlement["id"]))
    words = row.flags.split()
    if WORD in words:
        return
    charge = settlement["charge"]
    cost = settlement["row"][COST]
    entries: list[tuple[int | None, str, int]] = []
    if difference := (charge if cost is None else cost) - (row.cost_nusd or 0):
        entries.append((None, "", difference))
    for entry in LedgerEntry.objects.filter(request=row, kind="request", state="posted").exclude(budget=None):
        if entry.budget_id is not None and (difference := book.share(entry.budget_id, settlement) - entry.amount_nusd):
            book.resolve(entry.budget_id, entry.period_id, 0, difference)
            entries.append((entry.budget_id, entry.period_id, difference))
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            request=row, budget_id=budget, period_id=period, kind="adjustment", state="posted", amount_nusd=amount,
            created_at=now, resolved_at=now, note=_NOTE,
        )
        for budget, period, amount in entries
    )  # fmt: skip
    writer.completed(settlement, " ".join((*words, WORD)))
