"""Single sign-on: the way to the identity provider and back. Not set up, both addresses are 404.

The browser keeps what belongs to a sign-in on its way in a signed cookie of ten minutes, so
strangers make no rows. Nothing here waits for the provider in a thread, and these pages have places
of their own (cogo.few): a slow provider holds up its own sign-ins and nothing else.
"""

from __future__ import annotations

import hmac
import logging
from typing import Any
from urllib.parse import urlsplit

import msgspec
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import admin
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from llm_gateway.actions import _oidc
from llm_gateway.actions.sign_in import address_of, count_try_of, forget_tries_of
from llm_gateway.actions.sign_on import BY, admit, note_refusal, settings_of_sign_on, spend
from llm_gateway.policies.sign_on import SignOn, SignOnRefused, person_of

from .entering import enter, safe

log = logging.getLogger("cogo.sign_on")
COOKIE, COOKIE_S = "cogo_sso", 600
_SALT = "cogo.sso"


@require_safe
@never_cache
async def start(request: HttpRequest) -> HttpResponse:
    """To the provider. A GET, as pages may send forms nowhere else: it changes nothing but the
    cookie."""
    chosen, started = _set_up(), _oidc.start()
    try:
        address = await _oidc.sign_in_address(chosen, started, _back(request))
    except SignOnRefused as refused:
        return await sync_to_async(_refused)(request, refused)
    onward = request.GET.get("next", "")
    kept = [msgspec.structs.astuple(started), onward[:2000] if safe(request, onward) else ""]
    response = HttpResponseRedirect(address)
    response.set_cookie(
        COOKIE, signing.dumps(kept, salt=_SALT), max_age=COOKIE_S, path=_place(), secure=settings.SESSION_COOKIE_SECURE, httponly=True,
        samesite="Lax",
    )  # fmt: skip
    return response


@require_safe
@never_cache
async def back(request: HttpRequest) -> HttpResponse:
    """From the provider, with a code or with what went wrong."""
    chosen = _set_up()
    counted = f"single sign-on from {address_of(request)}"
    await sync_to_async(count_try_of)(request, counted)
    who = ""
    try:
        started, onward = _started(request)
        await sync_to_async(spend)(started.state)
        claims = await _oidc.redeem(chosen, started, _code(request, chosen), _back(request))
        person = person_of(claims, chosen)
        who = person.email
        user = await sync_to_async(admit)(person, chosen, address_of(request))
    except SignOnRefused as refused:
        return await sync_to_async(_refused)(request, refused, who)
    await sync_to_async(forget_tries_of)(request, counted)
    response = await sync_to_async(enter)(request, user, onward=onward, way=f"by {BY}", hours=chosen.hours, exempt=not chosen.second_factor)
    response.delete_cookie(COOKIE, path=_place(), samesite="Lax")
    return response


def _set_up() -> SignOn:
    found = settings_of_sign_on()
    if found is None:
        raise Http404
    return found


def _started(request: HttpRequest) -> tuple[_oidc.Started, str]:
    """What this browser began and the answer belongs to. Raises :class:`SignOnRefused`."""
    try:
        (state, nonce, verifier), onward = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=COOKIE_S)
    except (signing.BadSignature, ValueError, TypeError):
        raise SignOnRefused("This sign-in took too long, or began in another browser. Start again.", "No sign-in was on its way.") from None
    if not hmac.compare_digest(request.GET.get("state", "").encode(), str(state).encode()):
        raise SignOnRefused("This answer belongs to another sign-in. Start again.", "The state is not ours.")
    return _oidc.Started(state=state, nonce=nonce, verifier=verifier), str(onward)


def _code(request: HttpRequest, chosen: SignOn) -> str:
    """The code of the answer. Raises :class:`SignOnRefused`."""
    if error := request.GET.get("error", ""):
        if error == "access_denied":
            raise SignOnRefused("The sign-in was cancelled at the identity provider.", "The provider says: access_denied.")
        known = error[:60] if error.replace("_", "").isalnum() and error.isascii() else "something unreadable"
        raise SignOnRefused("The identity provider did not sign you in.", f"The provider says: {known}.")
    # RFC 9207: which provider the answer is from, where it says so.
    if request.GET.get("iss", chosen.issuer) != chosen.issuer:
        raise SignOnRefused("This answer is from another identity provider. Start again.", "The answer names another issuer.")
    code = request.GET.get("code", "")
    if not 0 < len(code) <= 4000 or not code.isprintable() or not code.isascii():
        raise SignOnRefused("The answer of the identity provider holds no code. Start again.", "The answer holds no code.")
    return code


def _refused(request: HttpRequest, refused: SignOnRefused, who: str = "") -> HttpResponse:
    note_refusal(refused, address_of(request), who)
    if refused.broken:
        log.warning("single sign-on: %s", refused.reason)
    shown: dict[str, Any] = {**admin.site.each_context(request), "title": "Not signed in", "why": refused.message}
    return TemplateResponse(
        request, "admin/llm_gateway/sign_on_refused.html", shown | {"sign_on": settings_of_sign_on()}, status=502 if refused.broken else 403
    ).render()


def _back(request: HttpRequest) -> str:
    """The address that is registered at the provider: of ``COGO_PUBLIC_URL`` where that is set,
    else of this request."""
    place = reverse("sign-on-back")
    if public := str(settings.COGO["public_url"]):
        parts = urlsplit(public)
        return f"{parts.scheme}://{parts.netloc}{place}"
    return request.build_absolute_uri(place)


def _place() -> str:
    return reverse("sign-on")


urlpatterns = [path("admin/sso/", start, name="sign-on"), path("admin/sso/back/", back, name="sign-on-back")]
