"""Errors Django answers itself, outside any view: JSON below the API's paths, a plain page elsewhere."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.html import escape

from llm_gateway.core import errors, json
from llm_gateway.stores.outage import outage

from . import refusal
from .native.errors import as_gateway_error, request_id

API_PREFIXES = ("/api/", "/v1/", "/v1beta/")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler400."""
    found = as_gateway_error(exception) if exception is not None else errors.InvalidRequest()
    if found.status >= 500:
        found = errors.InvalidRequest()
    found.message = found.message or "The request is malformed."
    return _answer(request, found)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler403."""
    return _answer(request, errors.PermissionDenied("This is not allowed."))


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW. Most often it is met behind a TLS proxy that the gateway was not told of, so it names what to set."""
    return _answer(request, errors.PermissionDenied(_csrf_advice(request, reason)))


def _csrf_advice(request: HttpRequest, reason: str) -> str:
    sent = request.headers.get("origin", "") or request.headers.get("referer", "")
    try:
        parts = urlsplit(sent)
        origin = f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else ""
    except ValueError:
        origin = ""
    if reason.startswith(("Origin checking failed", "Referer checking failed")):
        shown = origin[:200] or "an unknown address"
        return (
            f"The form came from {shown}, but the gateway takes itself to be at {request.scheme}://{request.get_host()}. If {shown} is "
            f"its address behind a TLS proxy, set CSRF_TRUSTED_ORIGINS={origin[:200] or 'https://HOST'} and COGO_HTTPS=true; "
            "with COGO_TRUST_PROXY=true it believes the X-Forwarded-Proto header of a proxy that sets it. Then restart. "
            "If you do not know that address, do not send the form."
        )
    if settings.CSRF_COOKIE_SECURE and not request.is_secure():
        return (
            "The browser sent no CSRF cookie: COGO_HTTPS=true makes cookies travel over https only, and this request came over http. "
            "Open the console by its https address; behind a TLS proxy set COGO_TRUST_PROXY=true as well and let the proxy send "
            "X-Forwarded-Proto."
        )
    return "The form has expired or came from elsewhere; reload the page and send it again."


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An error of the gateway's own, raised outside the API's views."""
    return _answer(request, as_gateway_error(exception))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler404."""
    return _answer(request, errors.NotFound("There is nothing at this address; /api/docs/ lists what there is."))


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500. Django logs the trace."""
    return _answer(request, outage(sys.exception()) or errors.InternalError())


def _answer(request: HttpRequest, error: errors.GatewayError) -> HttpResponse:
    id_ = request_id(request)
    body = refusal.native_body(error, id_)
    if request.path_info.startswith(API_PREFIXES):
        response = HttpResponse(json.dumps(body), status=error.status, content_type="application/json")
    else:
        message = escape(body["error"]["message"])
        page = f'<!doctype html><html lang="en"><title>{error.status}</title><h1>{error.status}</h1><p>{message}</p><p>Request {id_}</p>'
        response = HttpResponse(page, status=error.status)
    for name, value in refusal.headers(error, id_).items():
        response[name] = value
    return response
