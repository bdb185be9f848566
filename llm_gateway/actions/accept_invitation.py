"""Let an invited person in: their account is made when they come, with the role they were invited to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone

from llm_gateway.models import SUPERUSER, Invitation, trail

from . import ActionError
from .invite import has_account, sealed

CLOSED = "This link does not open anything: it was used or withdrawn, it is older than seven days, or part of it is missing."


def invitation_of(token: str, now: datetime | None = None) -> Invitation | None:
    """The invitation that a link opens now."""
    return _open(Invitation.objects.filter(digest=sealed(token)), now)


def invitation_again(pk: int, digest: bytes, now: datetime | None = None) -> Invitation | None:
    """The same, for a browser that brought the link before; a renewal has another digest."""
    return _open(Invitation.objects.filter(pk=pk, digest=digest), now)


def invitation_for(email: str, now: datetime | None = None) -> Invitation | None:
    """The same, for somebody whose address another party vouches for."""
    return _open(Invitation.objects.filter(email__iexact=email, accepted_at=None, withdrawn_at=None), now)


def newcomer(row: Invitation) -> Any:
    """The account, not saved yet: passwords are held against it."""
    first, _, last = row.name.partition(" ")
    return get_user_model()(
        username=row.email.lower(), email=row.email, first_name=first, last_name=last, is_staff=True, is_superuser=row.role == SUPERUSER
    )


def accept_invitation(row: Invitation, password: str | None, now: datetime | None = None) -> Any:
    """The new account. ``password`` is ``None`` for whoever signs in elsewhere. Of twins one gets it; raises :class:`ActionError`."""
    now = now or timezone.now()
    user = newcomer(row)
    user.set_password(password)
    by = msgspec.structs.replace(trail.actor() or trail.Actor(via="console"), name=user.get_username(), id=None)
    try:
        with trail.acting(by), transaction.atomic():
            claimed = Invitation.objects.filter(
                pk=row.pk, digest=row.digest, accepted_at=None, withdrawn_at=None, expires_at__gt=now
            ).update(accepted_at=now)
            if not claimed or has_account(row.email):
                raise ActionError(CLOSED)
            user.save()
            if row.role != SUPERUSER:
                user.groups.add(Group.objects.get(name=row.role))
            Invitation.objects.filter(pk=row.pk).update(account=user)
            changes = {"accepted_at": [None, str(now)], "account": [None, str(user)]}
            trail.record("changed", row, changes=changes, detail="Accepted.")
    except IntegrityError:  # somebody made an account of that name this very moment
        raise ActionError(CLOSED) from None
    return user


def _open(rows: Any, now: datetime | None) -> Invitation | None:
    row: Invitation | None = rows.select_related("invited_by").first()
    if row is None or row.state(now) != "open":
        return None
    by = row.invited_by
    if by is None or not (by.is_active and by.is_superuser) or has_account(row.email):
        return None
    return row
