"""The page between password and session: it asks for the code, or has a second factor set up where
the settings want one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from llm_gateway.actions import ActionError, second_factor
from llm_gateway.actions.sign_in import address_of, count_try_of, forget_tries_of
from llm_gateway.core.errors import RateLimited
from llm_gateway.models import trail
from llm_gateway.stores import vault

from .entering import expected, finish

KEY = "cogo_new_factor"


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def asked(request: HttpRequest) -> HttpResponse:
    user = expected(request)
    if user is None:
        return HttpResponseRedirect(reverse("admin:login"))
    if second_factor.has_second_factor(user):
        return _code(request, user)
    return _set_up(request, user)


def _code(request: HttpRequest, user: Any) -> HttpResponse:
    error = ""
    if request.method == "POST":
        error = tried(request, user, lambda code: "" if second_factor.passes(user, code) else second_factor.WRONG)
        if not error:
            return HttpResponseRedirect(finish(request, user))
    return _page(request, {"title": "Your second factor", "error": error, "account": user.get_username()})


def _set_up(request: HttpRequest, user: Any) -> HttpResponse:
    """The role wants one. Its codes are shown on the page that answers, and then nowhere."""
    error, codes = "", []
    key = key_in_making(request, user)
    if request.method == "POST":

        def made(code: str) -> str:
            try:
                codes.extend(second_factor.switch_on(user, key, code))
            except ActionError as refused:
                return str(refused)
            return ""

        with trail.acting(trail.Actor(name=user.get_username(), id=user.pk, via="console", address=address_of(request))):
            error = tried(request, user, made)
        if not error:
            request.session.pop(KEY, None)
            return _page(request, {"title": "Your recovery codes", "codes": codes, "onward": finish(request, user)})
    shown = {"title": "Set up a second factor", "error": error, "account": user.get_username()}
    return _page(request, shown | key_shown(key, user))


def tried(request: HttpRequest, user: Any, check: Any) -> str:
    """Count a try of a code, then let ``check`` say what is wrong with it, empty for nothing. Wrong
    codes wait as wrong passwords do."""
    counted = f"second factor of {user.get_username()}"
    try:
        count_try_of(request, counted)
    except RateLimited as waits:
        return waits.message
    error = str(check(request.POST.get("code", "")[:40]))
    if error:
        trail.record("sign-in failed", user, detail="The code of the second factor was wrong.")
        return error
    forget_tries_of(request, counted)
    return ""


def key_in_making(request: HttpRequest, user: Any) -> str:
    """The key that the app is being given: the same on every look until it is in force. In the
    session it is sealed."""
    place = f"secondfactor:{user.pk}:making"
    try:
        return vault.open_sealed(request.session.get(KEY, ""), place=place).reveal()
    except vault.VaultError:
        key = second_factor.make_key()
        request.session[KEY] = vault.seal(key, place=place)
        return key


def key_shown(key: str, user: Any) -> dict[str, str]:
    """What the page shows of it: a picture for a camera, and the text for whoever types."""
    picture = second_factor.picture(second_factor.key_address(key, user.get_username()))
    return {"picture": picture, "key": " ".join(key[at : at + 4] for at in range(0, len(key), 4))}


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    shown = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, "admin/llm_gateway/second_factor_asked.html", shown)


urlpatterns = [path("admin/sign-in/second-factor/", asked, name="second-factor-asked")]
