"""The invariants of money and logs, looked at from outside: the auditor where it exists, and its own few sums."""

from __future__ import annotations


def unbalanced() -> list[str]:
    """What is wrong, a sentence each; empty when all is well. Some forty statements: once for a module's rows is enough."""
    from llm_gateway.actions.audit import audit

    return [f"{finding.code} {finding.title}: {finding.offenders}" for finding in audit(strict=True) if not finding.ok] + unsettled()


def unsettled() -> list[str]:
    """What a call that has ended must not leave: a row still open, money still held, a budget that is not the sum of its ledger."""
    from django.db.models import Q, Sum

    from llm_gateway.models import Budget, LedgerEntry, RequestLog

    found = []
    still_open = list(RequestLog.objects.filter(state="open").values_list("pk", "asked_model"))
    if still_open:
        found.append(f"rows still open: {still_open}")
    held = LedgerEntry.objects.filter(state="held").count()
    if held:
        found.append(f"{held} ledger entries still held")
    for budget in Budget.objects.all():
        sums = LedgerEntry.objects.filter(budget=budget, period_id=budget.period_id).aggregate(
            posted=Sum("amount_nusd", filter=Q(state="posted")), held=Sum("amount_nusd", filter=Q(state="held"))
        )
        if budget.posted_nusd != (sums["posted"] or 0) or budget.held_nusd != (sums["held"] or 0):
            found.append(f"budget {budget.name}: {budget.posted_nusd} posted, {budget.held_nusd} held, ledger says {sums}")
    return found
