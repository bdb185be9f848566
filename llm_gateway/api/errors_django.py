"""Errors Django answers itself, outside any view: JSON below the API's paths, a plain page elsewhere."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix
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
    return _answer(request, errors.PermissionDenied("Your role does not include this page; whoever manages accounts can change that."))


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


def _page(request: HttpRequest, status: int, message: str, id_: str) -> str:
    """Drawn without the database and without templates: it may be what is broken."""
    title = {403: "This is not allowed", 404: "There is no such page"}.get(status, f"Error {status}")
    home = get_script_prefix()
    ways = [("The console", f"{home}admin/")]
    if back := _page_before(request):
        ways.insert(0, ("Back", back))
    links = " ".join(f'<a href="{escape(url)}">{text}</a>' for text, url in ways)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><p>{status}</p><h1>{title}</h1><p>{escape(message)}</p>"
        f"<nav>{links}</nav><p><small>Request {escape(id_)}</small></p></main></body></html>"
    )


_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1.25rem}"
    "h1{font-size:1.6rem;margin:.25rem 0}nav{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0}"
    "nav a{padding:.5rem 1rem;border:1px solid;border-radius:.4rem;color:inherit;text-decoration:none}"
)


def _page_before(request: HttpRequest) -> str:
    """The page of ours that led here, without its host; empty where there is none."""
    try:
        parts = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return ""
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    ours = parts.netloc == request.get_host() and parts.path.startswith("/") and not parts.path.startswith("//")
    return path if ours and path != request.get_full_path() else ""


def _answer(request: HttpRequest, error: errors.GatewayError) -> HttpResponse:
    id_ = request_id(request)
    body = refusal.native_body(error, id_)
    if request.path_info.startswith(API_PREFIXES):
        response = HttpResponse(json.dumps(body), status=error.status, content_type="application/json")
    else:
        response = HttpResponse(_page(request, error.status, body["error"]["message"], str(id_)), status=error.status)
    for name, value in refusal.headers(error, id_).items():
        response[name] = value
    return response
