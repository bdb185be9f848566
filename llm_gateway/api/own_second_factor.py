"""Everybody's own page of their second factor: switch it on with an app, make recovery codes anew,
switch it off; each takes a code."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.debug import sensitive_post_parameters

from llm_gateway.actions import ActionError, second_factor
from llm_gateway.models import SecondFactor

from .entering import PASSED
from .second_factor import KEY, key_in_making, key_shown, tried


@sensitive_post_parameters()
def own_page(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    row = SecondFactor.objects.filter(pk=user.pk).first()
    if row is None:
        return _off(request, user)
    wanted = second_factor.must_have(user)
    if wanted and not request.session.get(PASSED):
        # A session from before: it has shown no code, so it may not change anything here.
        logout(request)
        messages.warning(request, "Your role takes a second factor. Sign in again, with a code.")
        return HttpResponseRedirect(reverse("admin:login"))
    return _on(request, user, row, wanted)


def _off(request: HttpRequest, user: Any) -> HttpResponse:
    key, error, codes = key_in_making(request, user), "", []
    if request.method == "POST":

        def made(code: str) -> str:
            try:
                codes.extend(second_factor.switch_on(user, key, code))
            except ActionError as refused:
                return str(refused)
            return ""

        error = tried(request, user, made)
        if not error:
            request.session.pop(KEY, None)
            request.session[PASSED] = True
            return _page(request, {"codes": codes})
    wanted = second_factor.must_have(user) and not request.session.get(PASSED)
    return _page(request, {"error": error, "forced": wanted, **key_shown(key, user)})


def _on(request: HttpRequest, user: Any, row: SecondFactor, wanted: bool) -> HttpResponse:
    error = ""
    verb = request.POST.get("verb", "")
    if request.method == "POST" and verb in ("off", "codes") and not (verb == "off" and wanted):
        error = tried(request, user, lambda code: "" if second_factor.passes(user, code) else second_factor.WRONG)
        if not error and verb == "codes":
            return _page(request, {"codes": second_factor.new_codes(user)})
        if not error:
            second_factor.switch_off(user)
            messages.success(request, "The second factor is off: your password alone opens the console.")
            return HttpResponseRedirect(reverse("second-factor"))
    left = row.codes.filter(used_at=None).count()
    return _page(request, {"error": error, "factor": row, "wanted": wanted, "codes_left": left, "verb": verb})


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    shown = {**admin.site.each_context(request), "title": "Second factor", **context}
    if shown.get("forced"):  # nothing in the menu would open
        shown |= {"sidebar_navigation": [], "is_nav_sidebar_enabled": False}
    return TemplateResponse(request, "admin/llm_gateway/second_factor.html", shown)


urlpatterns = [path("admin/second-factor/", admin.site.admin_view(own_page), name="second-factor")]
