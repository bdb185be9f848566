"""A password that somebody else knows is good for one thing: choosing another.

Whoever's password was made by ``bootstrap`` or set by somebody else in the console has a :class:`OneTimePassword`. It is looked up once, at
sign-in, and kept in the session as a flag; a new password ends every other session of the account, so no session is left with a wrong one.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_save

from llm_gateway.models import OneTimePassword, trail

FLAG = "cogo_one_time_password"


def must_change(user: Any) -> None:
    """The password that ``user`` has now opens nothing but the page that changes it."""
    OneTimePassword.objects.update_or_create(user=user)


def connect() -> None:
    post_save.connect(_saved, sender=get_user_model(), dispatch_uid="cogo-own-password-set")
    user_logged_in.connect(_signed_in, dispatch_uid="cogo-own-password-signed-in")


def _saved(sender: Any, instance: Any, raw: bool = False, **_: Any) -> None:
    """Django keeps the plain text of a new password until the row is saved; when it only hashes the old one anew it does not."""
    if raw or instance._password is None:
        return
    by = trail.actor()
    if by is not None and by.id is not None and by.id != instance.pk:
        must_change(instance)
    else:  # by its owner, or at the terminal
        OneTimePassword.objects.filter(user=instance).delete()


def _signed_in(sender: Any, request: Any, user: Any, **_: Any) -> None:
    session = getattr(request, "session", None)
    if session is None:
        return
    # Whoever came another way has not used it, and may not know it.
    by_password = not getattr(request, "cogo_way", "").startswith("by ")
    if by_password and OneTimePassword.objects.filter(user=user).exists():
        session[FLAG] = True
    else:
        session.pop(FLAG, None)
