"""The page an invitation's link opens: outside the sign-in, for whoever has the link.

The link's secret leaves the address bar at once; the session keeps the invitation's digest, which opens nothing without its cookie.
Whatever is wrong with a link, the answer is the same, and tries are counted as those of sign-ins are.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe
from unfold.widgets import BASE_INPUT_CLASSES

from llm_gateway.actions import ActionError
from llm_gateway.actions.accept_invitation import CLOSED, accept_invitation, invitation_again, invitation_of, newcomer
from llm_gateway.actions.sign_in import address_of, count_try_of, forget_tries_of, passwords_open
from llm_gateway.actions.sign_on import settings_of_sign_on
from llm_gateway.models import Invitation

from .entering import enter

KEPT = "cogo_invitation"


class ChooseForm(SetPasswordForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = " ".join(BASE_INPUT_CLASSES)


@require_safe
@never_cache
def opened(request: HttpRequest, token: str) -> HttpResponse:
    """The link. It may be followed as often as one likes, by scanners of mail too, until a password is chosen."""
    counted = f"invitation from {address_of(request)}"
    count_try_of(request, counted)
    row = invitation_of(token)
    if row is None:
        return _closed(request)
    forget_tries_of(request, counted)
    request.session[KEPT] = [row.pk, bytes(row.digest).hex()]
    return HttpResponseRedirect(reverse("invitation"))


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def invitation(request: HttpRequest) -> HttpResponse:
    """Choose a password, and be signed in."""
    row = _kept(request)
    if row is None:
        return _closed(request)
    if not passwords_open():
        return _page(request, {"invitation": row, "sign_on": settings_of_sign_on(), "title": "Your invitation"})
    form = ChooseForm(newcomer(row), request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            user = accept_invitation(row, form.cleaned_data["new_password1"])
        except ActionError:
            return _closed(request)
        request.session.pop(KEPT, None)
        messages.success(request, f"Welcome, {row.name}. You are signed in; next time, sign in as {user.get_username()}.")
        return enter(request, user, way="by an invitation")
    return _page(request, {"invitation": row, "form": form, "title": "Your invitation"})


def _kept(request: HttpRequest) -> Invitation | None:
    try:
        pk, digest = request.session[KEPT]
        return invitation_again(int(pk), bytes.fromhex(digest))
    except (KeyError, TypeError, ValueError):
        return None


def _closed(request: HttpRequest) -> HttpResponse:
    response = _page(request, {"closed": CLOSED, "title": "No invitation here"}, status=404)
    # Its address holds a link. Not so on the page with the form: browsers then send it without an origin, which Django refuses.
    response["Referrer-Policy"] = "no-referrer"
    return response


def _page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    shown = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, "admin/llm_gateway/invitation.html", shown, status=status)


urlpatterns = [
    path("invitation/", invitation, name="invitation"),
    path("invitation/<str:token>/", opened, name="invitation-link"),
]
