"""Invite a colleague, renew the link, withdraw it. A link is a secret of 256 bits of which only a keyed digest is stored.

It opens once, for seven days, while whoever invited is a superuser and no account has the address.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from llm_gateway.models import INVITABLE, Invitation, trail
from llm_gateway.stores.vault import digest

from . import ActionError

VALID_FOR = timedelta(days=7)
_LONGEST_NAME = 150
_INVITED = "This address is invited already; renew that invitation, or withdraw it first."


def invite(name: str, email: str, role: str, by: Any, now: datetime | None = None) -> tuple[Invitation, str]:
    """The invitation and what its link ends in, which nobody can tell afterwards. Raises :class:`ActionError`."""
    now = now or timezone.now()
    _superuser(by)
    name, email = " ".join(name.split())[:_LONGEST_NAME], email.strip()
    if not name:
        raise ActionError("An invitation needs the person's name.")
    if role not in INVITABLE:
        raise ActionError(f"There is no role {role!r}; there are {', '.join(INVITABLE)}.")
    if why := why_not(email):
        raise ActionError(why)
    token = secrets.token_urlsafe(32)
    row = Invitation(name=name, email=email, role=role, digest=sealed(token), invited_by=by, created_at=now, expires_at=now + VALID_FOR)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:  # a twin was faster
        raise ActionError(_INVITED) from None
    return row, token


def why_not(email: str) -> str:
    """A sentence on why this address cannot be invited; empty when it can."""
    email = email.strip()
    users = get_user_model()
    try:
        validate_email(email)
        users.username_validator(email)
    except ValidationError:
        return "This is no address that can be signed in with; it takes letters, digits and . @ + - _ only."
    if len(email) > _LONGEST_NAME:
        return f"The address is longer than {_LONGEST_NAME} characters."
    if has_account(email):
        return "There is an account with this address already."
    if _live().filter(email__iexact=email).exists():
        return _INVITED
    return ""


def renew_invitation(row: Invitation, by: Any, now: datetime | None = None) -> str:
    """What the new link ends in; the old one is dead. ``by`` answers for it from now on. Raises :class:`ActionError`."""
    now = now or timezone.now()
    _superuser(by)
    if has_account(row.email):
        raise ActionError("There is an account with this address now.")
    token, until, before = secrets.token_urlsafe(32), now + VALID_FOR, row.expires_at
    with transaction.atomic():
        if not _live().filter(pk=row.pk).update(digest=sealed(token), expires_at=until, invited_by=by):
            raise ActionError("This invitation is closed; invite anew.")
        changes = {"digest": [trail.SEALED, trail.SEALED], "expires_at": [str(before), str(until)]}
        trail.record("changed", row, changes=changes, detail="Renewed.")
    row.expires_at = until
    return token


def withdraw_invitation(row: Invitation, now: datetime | None = None) -> None:
    """Its link is dead. Raises :class:`ActionError` when it is closed already."""
    now = now or timezone.now()
    with transaction.atomic():
        if not _live().filter(pk=row.pk).update(withdrawn_at=now):
            raise ActionError("This invitation is closed already.")
        trail.record("changed", row, changes={"withdrawn_at": [None, str(now)]}, detail="Withdrawn.")


def sealed(token: str) -> bytes:
    """What is stored of a link."""
    return digest(f"invitation {token}")


def has_account(email: str) -> bool:
    return bool(get_user_model()._default_manager.filter(Q(username__iexact=email) | Q(email__iexact=email)).exists())


def _live() -> Any:
    return Invitation.objects.filter(accepted_at=None, withdrawn_at=None)


def _superuser(by: Any) -> None:
    if not (by.is_active and by.is_superuser):
        raise ActionError("Only superusers invite.")
