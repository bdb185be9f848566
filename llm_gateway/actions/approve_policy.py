"""Say that a policy version may take force."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from llm_gateway.models import PolicyEvent, PolicyVersion
from llm_gateway.models.versions import ALIAS, happened

from . import ActionError

_STATES = PolicyVersion.State


def approve_policy(version: PolicyVersion, user: Any = None, via: str = "admin", note: str = "") -> PolicyVersion:
    """Raises :class:`ActionError` where it was not replayed, and where four eyes are wanted and they are its author's two."""
    with transaction.atomic():
        row = PolicyVersion.objects.select_for_update().get(pk=version.pk)
        ready = (_STATES.DRAFT, _STATES.REPLAYED) if row.kind == ALIAS else (_STATES.REPLAYED,)
        if row.state == _STATES.DRAFT and row.state not in ready:
            raise ActionError(f"Replay version {row.number} over the log before you approve it.")
        if row.state not in ready:
            raise ActionError(f"Version {row.number} is {row.state} already.")
        if row.strategy is not None and row.strategy.four_eyes and is_author(row, user, via):
            raise ActionError(f"{row.strategy.title} wants four eyes: somebody other than the author has to approve version {row.number}.")
        row.state = _STATES.APPROVED
        row.approved_by = user if getattr(user, "pk", None) else None
        row.approved_via = via[:100]
        row.save(update_fields=["state", "approved_by", "approved_via"])
        happened(row, PolicyEvent.Kind.APPROVED, user, via, note)
        return row


def is_author(row: PolicyVersion, user: Any, via: str) -> bool:
    """By account, and for client keys by the key. Whoever cannot be told apart is taken for the author."""
    if getattr(user, "pk", None):
        return bool(row.author_id == user.pk)
    return row.author_id is None and (row.via == via or not via)
