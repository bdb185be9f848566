"""Middleware, in place only where ``COGO_SECOND_FACTOR_ROLES`` names a role: a session without a
second factor whose owner has such a role, since yesterday or since this minute, opens the page that
sets one up and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.decorators import sync_and_async_middleware

from llm_gateway.actions.second_factor import must_have
from llm_gateway.core.errors import PermissionDenied

from .entering import PASSED
from .errors_django import refused
from .own_password import by_session

_OPEN = frozenset({"/admin/second-factor/", "/admin/sign-in/second-factor/", "/admin/sso/", "/admin/sso/back/"})


@sync_and_async_middleware
def second_factor_middleware(get_response: Any) -> Callable[[HttpRequest], Any]:
    """Stands behind the one for own passwords, which come first."""
    if iscoroutinefunction(get_response):

        async def apart(request: HttpRequest) -> HttpResponseBase:
            if _looked_at(request) and await sync_to_async(_lacking)(request):
                return _sent_away(request)
            response: HttpResponseBase = await get_response(request)
            return response

        return apart

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if _looked_at(request) and _lacking(request):
            return _sent_away(request)
        response: HttpResponseBase = get_response(request)
        return response

    return middleware


def _looked_at(request: HttpRequest) -> bool:
    return by_session(request) and request.path_info not in _OPEN


def _lacking(request: HttpRequest) -> bool:
    user = request.user
    return not request.session.get(PASSED) and user.is_authenticated and must_have(user)


def _sent_away(request: HttpRequest) -> HttpResponseBase:
    page = reverse("second-factor")
    if request.path_info.startswith("/admin/") or "text/html" in request.headers.get("accept", ""):
        return HttpResponseRedirect(page)
    return refused(request, PermissionDenied(f"Your role takes a second factor. Set one up at {page} first."))
