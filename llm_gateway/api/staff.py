"""Middleware for people: tells the audit trail who acts, records refusals of staff, and answers a sign-in that has to wait with 429."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from llm_gateway.actions.sign_in import COOKIE, COOKIE_S, address_of
from llm_gateway.core.errors import RateLimited
from llm_gateway.models import trail

from .errors_django import refused
from .native.errors import request_id


@sync_and_async_middleware
def staff_middleware(get_response: Any) -> Callable[[HttpRequest], Any]:
    """Stands after the middleware that knows the session's user."""
    if iscoroutinefunction(get_response):

        async def apart(request: HttpRequest) -> HttpResponseBase:
            with trail.acting(lambda: _actor(request)):
                response: HttpResponseBase = await get_response(request)
                if response.status_code == 403 and _has_session(request):
                    await sync_to_async(_note_refusal)(request)
            return _dressed(request, response)

        apart.process_exception = _waits  # type: ignore[attr-defined]
        return apart

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with trail.acting(lambda: _actor(request)):
            response: HttpResponseBase = get_response(request)
            if response.status_code == 403 and _has_session(request):
                _note_refusal(request)
        return _dressed(request, response)

    middleware.process_exception = _waits  # type: ignore[attr-defined]
    return middleware


def _actor(request: HttpRequest) -> trail.Actor:
    identity = getattr(request, "cogo_identity", None)
    user = getattr(request, "user", None)
    via = "api" if request.path.startswith("/api/") else "console"
    about: dict[str, Any] = {"via": via, "address": address_of(request), "request_id": str(request_id(request))}
    if identity is not None and identity.client_key_id is not None:
        return trail.Actor(name=f"client key {identity.name}", **about)
    if user is not None and user.is_authenticated:
        return trail.Actor(name=user.get_username(), id=user.pk, **about)
    return trail.Actor(**about)


def _has_session(request: HttpRequest) -> bool:
    return settings.SESSION_COOKIE_NAME in request.COOKIES


def _note_refusal(request: HttpRequest) -> None:
    """DRF takes a session it refuses for nobody's, so the session is asked itself."""
    user = get_user(request)
    if user.is_authenticated and user.is_staff:
        who = msgspec.structs.replace(_actor(request), name=user.get_username(), id=user.pk)
        trail.record("refused", detail=f"{request.method} {request.path[:250]}", who=who)


def _waits(request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
    return refused(request, exception) if isinstance(exception, RateLimited) else None


def _dressed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    wait = getattr(request, "cogo_wait_s", 0)
    if wait:
        response.status_code = 429
        response["Retry-After"] = str(wait)
    if made := getattr(request, "cogo_browser", ""):
        response.set_cookie(
            COOKIE,
            made,
            max_age=COOKIE_S,
            path=settings.SESSION_COOKIE_PATH,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response
