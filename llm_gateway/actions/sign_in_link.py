"""A way in that depends on nobody: whoever has the gateway's terminal makes a superuser a link,
which opens once, for ten minutes."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from llm_gateway.models import SignInLink, trail
from llm_gateway.stores.vault import digest

from . import ActionError

VALID_FOR = timedelta(minutes=10)


def make_link(username: str, now: datetime | None = None) -> str:
    """What the link ends in. Raises :class:`ActionError`."""
    now = now or timezone.now()
    user = get_user_model()._default_manager.filter(username=username).first()
    if user is None:
        raise ActionError(f"There is no account named {username!r}.")
    if not (user.is_active and user.is_superuser and user.is_staff):
        raise ActionError(f"{username} is no superuser who may sign in; links are for superusers alone.")
    SignInLink.objects.filter(expires_at__lt=now).delete()
    token = secrets.token_urlsafe(32)
    SignInLink.objects.create(user=user, digest=_sealed(token), expires_at=now + VALID_FOR)
    trail.record("did", user, detail="Made a link to sign in with.")
    return token


def link_of(token: str, now: datetime | None = None) -> SignInLink | None:
    """The link, while it opens something."""
    now = now or timezone.now()
    row = SignInLink.objects.select_related("user").filter(digest=_sealed(token), used_at=None, expires_at__gt=now).first()
    return row if row is not None and row.user.is_active and row.user.is_superuser else None


def use_link(row: SignInLink, now: datetime | None = None) -> Any:
    """Whom it signs in; of twins one. Raises :class:`ActionError`."""
    now = now or timezone.now()
    if not SignInLink.objects.filter(pk=row.pk, used_at=None, expires_at__gt=now).update(used_at=now):
        raise ActionError("This link was used already.")
    return row.user


def _sealed(token: str) -> bytes:
    return digest(f"sign-in link {token}")
