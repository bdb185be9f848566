"""Give a client key a new text. Name, team, budgets, limits and history stay; the old text works until a chosen moment."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from llm_gateway.core.errors import PermissionDenied
from llm_gateway.core.keys import compose_client_key
from llm_gateway.models import ClientKey, ReplacedKey, trail
from llm_gateway.stores import vault

from . import ActionError
from ._rights import beyond_rights

LONGEST_OVERLAP = timedelta(days=90)


class AlreadyRolled(ActionError):
    """The text that was to be replaced is not the key's newest any more: the same form came twice, or two people rolled it."""


def roll_client_key(key: ClientKey, *, keep_until: datetime | None = None, expected: str = "", by: Any = None) -> str:
    """The new text, which is in the return value and nowhere else.

    ``keep_until``: when the old text dies; ``None`` or a past one: now. ``expected``: the public id that the caller saw; a key
    that has another one by now is left as it is (:class:`AlreadyRolled`). ``by``: the staff member who will hold the text, who may not
    get more than they have. Raises :class:`ActionError` and :class:`PermissionDenied`. Workers learn of both within 2 s.
    """
    now = timezone.now()
    dies_at = max(now, keep_until or now)
    if dies_at > now + LONGEST_OVERLAP + timedelta(minutes=1):
        raise ActionError(f"An old key may live on for at most {LONGEST_OVERLAP.days} days; choose an earlier moment.")
    with transaction.atomic():
        row = ClientKey.objects.select_for_update().get(pk=key.pk)
        if row.revoked_at is not None:
            raise ActionError(f"{row.name} is revoked, for good; create a new key instead.")
        if row.expires_at is not None and row.expires_at <= now:
            raise ActionError(f"{row.name} has expired; give it a later expiry first.")
        if expected and row.public_id != expected:
            raise AlreadyRolled(f"{row.name} was rolled already; its newest text begins with cogo_{row.public_id}_.")
        if beyond := beyond_rights(row, by):
            raise PermissionDenied(beyond[1])
        plain, public_id = compose_client_key(os.urandom(48))
        old = row.public_id
        # The condition is for SQLite, which locks no rows: of two who got here together one finds nothing to change.
        if not ClientKey.objects.filter(pk=row.pk, public_id=old).update(public_id=public_id, digest=vault.digest(plain)):
            raise AlreadyRolled(f"{row.name} was rolled at the same moment by somebody else.")
        ReplacedKey.objects.create(client_key=row, public_id=old, digest=bytes(row.digest), replaced_at=now, dies_at=dies_at)
    key.refresh_from_db()
    trail.record("rolled", key, changes={"public_id": [old, public_id], "old_key_dies": [None, f"{dies_at:%Y-%m-%d %H:%M:%S} UTC"]})
    return plain


def end_replaced_key(old: ReplacedKey) -> bool:
    """Let a replaced text die now. Whether this call ended it; ``False`` when it was dead already."""
    now = timezone.now()
    ended = ReplacedKey.objects.filter(pk=old.pk, dies_at__gt=now).update(dies_at=now)
    if ended:
        was, old.dies_at = old.dies_at, now
        changes = {"old_key_dies": [f"{was:%Y-%m-%d %H:%M:%S} UTC", f"{now:%Y-%m-%d %H:%M:%S} UTC"]}
        trail.record("changed", old.client_key, changes=changes, detail=f"The old key cogo_{old.public_id}_… ended.")
    return bool(ended)
