"""Middleware: whoever signed in with a one-time password gets to the page that changes it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.decorators import sync_and_async_middleware

from llm_gateway.actions.own_password import FLAG
from llm_gateway.core.errors import GatewayError, PermissionDenied

from .errors_django import refused
from .refusal import presented_key

_CLOSED = ("/admin/", "/api/")
_OPEN = frozenset({"/admin/password_change/", "/admin/login/", "/admin/logout/", "/admin/jsi18n/"})


@sync_and_async_middleware
def own_password_middleware(get_response: Any) -> Callable[[HttpRequest], Any]:
    """Stands behind the sessions. It asks the session alone, which the page behind it needs anyway."""
    if iscoroutinefunction(get_response):

        async def apart(request: HttpRequest) -> HttpResponseBase:
            if by_session(request) and await request.session.aget(FLAG):
                return _sent_away(request)
            response: HttpResponseBase = await get_response(request)
            return response

        return apart

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if by_session(request) and request.session.get(FLAG):
            return _sent_away(request)
        response: HttpResponseBase = get_response(request)
        return response

    return middleware


def by_session(request: HttpRequest) -> bool:
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or request.path_info in _OPEN or not request.path_info.startswith(_CLOSED):
        return False
    if request.path_info.startswith("/admin/"):
        return True
    try:
        return presented_key(request.headers) is None  # a client key never uses the session
    except GatewayError:
        return False


def _sent_away(request: HttpRequest) -> HttpResponseBase:
    page = reverse("admin:password_change")
    if request.path_info.startswith("/admin/") or "text/html" in request.headers.get("accept", ""):
        return HttpResponseRedirect(page)
    return refused(request, PermissionDenied(f"Your password was made by somebody else. Choose your own at {page} first."))
