"""What a person may put into a client key: nothing beyond their own rights (the table is :mod:`llm_gateway.core.roles`)."""

from __future__ import annotations

from typing import Any

from llm_gateway.core.catalog import Scope
from llm_gateway.core.roles import PRICES, scopes_of
from llm_gateway.models import Budget, ClientKey


def beyond_rights(row: ClientKey, by: Any, *, scopes: Any = None, limited: bool = False) -> tuple[str, str] | None:
    """``(field, sentence)`` for what ``by`` may not give to ``row``, or ``None``. ``scopes``: those that are new to it; ``limited``: a hard
    budget comes with it."""
    if by is None or getattr(by, "is_superuser", False) or not getattr(by, "pk", None):
        return None
    own = scopes_of(by.has_perm)
    given = [scope for scope in Scope if scope.value in (row.scopes if scopes is None else scopes)]
    if extra := [scope.value for scope in given if scope not in own]:
        return "scopes", f"You do not have the scope {', '.join(extra)} yourself, so you cannot give it to a key."
    if row.allow_unpriced and not limited and not by.has_perm(PRICES) and not _limited(row):
        return (
            "allow_unpriced",
            "A key that may use unpriced models needs a hard budget of its own or of its team; ask finance for one first.",
        )
    return None


def _limited(row: ClientKey) -> bool:
    budgets = Budget.objects.filter(enabled=True, hard=True, end_user="")
    if row.team_id and budgets.filter(team_id=row.team_id).exists():
        return True
    return bool(row.pk) and budgets.filter(client_key_id=row.pk).exists()
