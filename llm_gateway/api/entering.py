"""The one way into a session, whatever showed who somebody is: password, invitation, identity
provider or a link of the terminal.

Whose account has a second factor, or has to have one, is nobody's session yet: it keeps who is
expected, ten minutes long, and every page but the one that asks for the code takes the browser for
a stranger.
"""

from __future__ import annotations

import hmac
import time
from typing import Any

from django.contrib.auth import get_user_model, login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from llm_gateway.actions.second_factor import has_second_factor, must_have

BACKEND = "django.contrib.auth.backends.ModelBackend"
PENDING = "cogo_half_signed_in"
# In a session: its owner has shown a second factor, or the operator asks for none on this way in.
PASSED = "cogo_second_factor"
WITHIN_S = 600


def enter(request: HttpRequest, user: Any, *, onward: str = "", way: str = "", hours: int = 0, exempt: bool = False) -> HttpResponse:
    """Sign ``user`` in, or ask for the second factor first. ``way``: how, for the audit trail;
    ``hours``: the longest the session lasts, 0 for the usual; ``exempt``: no second factor is asked
    for."""
    onward = onward if safe(request, onward) else reverse("admin:index")
    if exempt or not (has_second_factor(user) or must_have(user)):
        _sign_in(request, user, way, hours, passed=exempt)
        return HttpResponseRedirect(onward)
    if request.user.is_authenticated:
        logout(request)
    else:
        request.session.cycle_key()
    request.session[PENDING] = {
        "user": user.pk, "proof": user.get_session_auth_hash(), "until": time.time() + WITHIN_S, "onward": onward, "way": way,
        "hours": hours,
    }  # fmt: skip
    return HttpResponseRedirect(reverse("second-factor-asked"))


def expected(request: HttpRequest) -> Any:
    """Whose code is waited for: an account that is still switched on and still has the password it
    had; else ``None``."""
    kept = request.session.get(PENDING)
    try:
        if kept is None or kept["until"] < time.time():
            return None
        user = get_user_model()._default_manager.get(pk=kept["user"])
        same = hmac.compare_digest(kept["proof"], user.get_session_auth_hash())
    except (KeyError, TypeError, get_user_model().DoesNotExist):
        return None
    return user if same and user.is_active else None


def finish(request: HttpRequest, user: Any) -> str:
    """The second factor was shown: ``user`` is signed in. Where to go from here."""
    kept = request.session.pop(PENDING)
    way = f"{kept['way']}, with a second factor" if kept["way"] else "with a second factor"
    _sign_in(request, user, way, kept["hours"], passed=True)
    return str(kept["onward"])


def safe(request: HttpRequest, address: str) -> bool:
    """Whether it is a page of ours."""
    return bool(address) and url_has_allowed_host_and_scheme(address, allowed_hosts={request.get_host()}, require_https=request.is_secure())


def _sign_in(request: HttpRequest, user: Any, way: str, hours: int, *, passed: bool) -> None:
    request.cogo_way = way  # type: ignore[attr-defined]  # what the audit trail says of it
    login(request, user, backend=BACKEND)
    if passed:
        request.session[PASSED] = True
    else:
        request.session.pop(PASSED, None)
    if hours:
        request.session.set_expiry(hours * 3600)
