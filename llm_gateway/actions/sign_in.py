"""Signing in: how often a password may be tried, and what the audit trail says of it.

Every try is counted before the password is looked at, so that a refusal costs no hashing and twins in several workers count as two. What is
counted: the account at this address (or in a browser that signed in before, which knows by a signed cookie), the address, and the account
from anywhere. Waits double up to a limit and end by themselves. Nobody can lock out the operator: a browser that signed in before is
counted by itself.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from llm_gateway.core.errors import RateLimited
from llm_gateway.models import SignInTries, trail
from llm_gateway.policies.callers import subscriber

COOKIE = "cogo_browser"
COOKIE_S = 180 * 86400
_SALT = "cogo.sign-in"
# A row that was quiet for this long begins anew.
QUIET = timedelta(hours=1)
KEPT = timedelta(days=1)


class Limit(msgspec.Struct, frozen=True):
    """``free`` tries cost no wait; after each further one the next has to wait, twice as long each time, at most ``most_s``."""

    free: int
    most_s: int


ACCOUNT_HERE = Limit(free=5, most_s=300)
ADDRESS = Limit(free=30, most_s=300)
ACCOUNT_ANYWHERE = Limit(free=100, most_s=300)


class Guard:
    """An authentication backend that lets nobody in: it counts the try, or raises :class:`RateLimited`, before the next one looks at the
    password. It stands first in ``AUTHENTICATION_BACKENDS``."""

    def authenticate(self, request: Any, username: str | None = None, password: str | None = None, **_: Any) -> None:
        plain = getattr(request, "_request", request)  # DRF wraps Django's
        if plain is None or username is None or password is None:
            return
        if not passwords_open():
            raise PermissionDenied  # Django's: no backend behind this one is asked
        count_try_of(plain, str(username))


def passwords_open() -> bool:
    """Whether passwords open the console: always, unless the operator leaves that to single sign-on alone."""
    chosen = settings.COGO.get("sign_on")
    return chosen is None or bool(chosen.passwords)


def too_many(wait: int) -> RateLimited:
    """What somebody is told whose next try has to wait for ``wait`` seconds."""
    return RateLimited(
        f"Too many tries to sign in. Wait {wait} second{'' if wait == 1 else 's'}, then try again; "
        "other browsers and accounts are not held up.",
        retry_after_s=wait,
    )


def count_try_of(request: Any, username: str) -> None:
    """:func:`count_try` for a form that looks at a password or a link. Raises :class:`RateLimited`; the answer becomes a 429."""
    if wait := count_try(username, address_of(request), known_browser(request, username)):
        request.cogo_wait_s = wait
        raise too_many(wait)


def forget_tries_of(request: Any, username: str) -> None:
    """:func:`forget_tries` for the same form."""
    forget_tries(username, address_of(request), known_browser(request, username))


def count_try(username: str, address: str, browser: str = "", now: datetime | None = None) -> int:
    """0, and the try is counted; or the seconds it has to wait, and nothing is."""
    now = now or timezone.now()
    rows = list(_counters(_account(username), address, browser))
    with transaction.atomic():
        found = {row.key: row for row in _locked([key for key, _ in rows], now)}
        waits = [row.until - now for key, _ in rows if (row := found[key]).until is not None and row.until > now]
        if waits:
            return max(1, math.ceil(max(waits).total_seconds()))
        for key, limit in rows:
            row = found[key]
            tries = 1 if now - row.last_at > QUIET else row.tries + 1
            over = tries - limit.free
            wait_s = min(limit.most_s, 2 ** min(over, 16)) if over >= 0 else 0
            until = now + timedelta(seconds=wait_s) if wait_s else None
            SignInTries.objects.filter(pk=row.pk).update(tries=tries, last_at=now, until=until)
    return 0


def forget_tries(username: str, address: str, browser: str = "") -> None:
    """The password was right: this account at this address begins anew, and the address gets this try back."""
    account = _account(username)
    own = [key for key, limit in _counters(account, address, browser) if limit is ACCOUNT_HERE]
    SignInTries.objects.filter(key__in=own).delete()
    for key, limit in _counters(account, address, browser):
        if limit is not ACCOUNT_HERE:
            row = SignInTries.objects.filter(key=key).first()
            if row is not None:
                tries = max(0, row.tries - 1)
                until = row.until if tries >= limit.free else None
                SignInTries.objects.filter(pk=row.pk).update(tries=tries, until=until)


def forget_old_tries(now: datetime | None = None) -> int:
    return SignInTries.objects.filter(last_at__lt=(now or timezone.now()) - KEPT).delete()[0]


def address_of(request: Any) -> str:
    """The caller's, as the door found it behind the proxies that the operator trusts."""
    return str(request.META.get("REMOTE_ADDR") or "")[:45]


def known_browser(request: Any, username: str) -> str:
    """The id of a browser this account signed in with before; empty for any other."""
    try:
        account, browser = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=COOKIE_S)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(browser) if account == _digest("account", _account(username)) else ""


def browser_cookie(username: str) -> str:
    """The value that makes a browser known for this account."""
    return signing.dumps([_digest("account", _account(username)), secrets.token_hex(12)], salt=_SALT)


def connect() -> None:
    user_logged_in.connect(_signed_in, dispatch_uid="cogo-signed-in")
    user_logged_out.connect(_signed_out, dispatch_uid="cogo-signed-out")
    user_login_failed.connect(_failed, dispatch_uid="cogo-sign-in-failed")


def _counters(account: str, address: str, browser: str) -> Iterator[tuple[str, Limit]]:
    if browser:
        yield _digest("browser", account, browser), ACCOUNT_HERE
        return
    here = subscriber(address)
    yield _digest("here", account, here), ACCOUNT_HERE
    yield _digest("address", here), ADDRESS
    yield _digest("anywhere", account), ACCOUNT_ANYWHERE


def _locked(keys: list[str], now: datetime) -> list[SignInTries]:
    """Always in the same order, so that twins wait for each other instead of deadlocking."""
    for key in sorted(keys):
        if not SignInTries.objects.filter(key=key).exists():
            try:
                with transaction.atomic():
                    SignInTries.objects.create(key=key, last_at=now)
            except IntegrityError:
                pass  # a twin made it
    return list(SignInTries.objects.select_for_update().filter(key__in=keys).order_by("key"))


def _account(username: str) -> str:
    return unicodedata.normalize("NFKC", username)[:150].casefold()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()


def _who(request: Any, user: Any = None, name: str = "") -> trail.Actor:
    via = "api" if request is not None and str(request.path).startswith("/api/") else "console"
    return trail.Actor(
        name=user.get_username() if user is not None else name,
        id=user.pk if user is not None else None,
        via=via,
        address=address_of(request) if request is not None else "",
    )


def _signed_in(sender: Any, request: Any, user: Any, **_: Any) -> None:
    if request is None or not request.META.get("REMOTE_ADDR"):
        trail.record("signed in", user, who=trail.Actor(name=user.get_username(), id=user.pk))
        return
    name = user.get_username()
    forget_tries(name, address_of(request), known_browser(request, name))
    if not known_browser(request, name):
        request.cogo_browser = browser_cookie(name)
    trail.record("signed in", user, who=_who(request, user), detail=getattr(request, "cogo_way", ""))


def _signed_out(sender: Any, request: Any, user: Any, **_: Any) -> None:
    if user is not None:
        trail.record("signed out", user, who=_who(request, user))


def _failed(sender: Any, credentials: Any, request: Any = None, **_: Any) -> None:
    plain = getattr(request, "_request", request)
    tried = str(credentials.get("username") or "")[:150]
    # People type passwords into the wrong box: only names of accounts are kept.
    known = get_user_model()._default_manager.filter(**{get_user_model().USERNAME_FIELD: tried}).exists()
    trail.record(
        "sign-in failed",
        who=_who(plain),
        name=tried if known else "no account",
        detail="Wrong name or password, or the account may not sign in.",
    )
