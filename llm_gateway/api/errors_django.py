"""Errors Django answers itself, outside any view: JSON below the API's paths, a plain page elsewhere."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.utils.html import escape

from llm_gateway.core import errors, json
from llm_gateway.stores.outage import outage

from .native.errors import as_gateway_error, body_of, headers_of, request_id

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
    """CSRF_FAILURE_VIEW."""
    return _answer(request, errors.PermissionDenied("The form has expired or came from elsewhere; reload the page and send it again."))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler404."""
    return _answer(request, errors.NotFound("There is nothing at this address; /api/docs/ lists what there is."))


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500. Django logs the trace."""
    return _answer(request, outage(sys.exception()) or errors.InternalError())


def _answer(request: HttpRequest, error: errors.GatewayError) -> HttpResponse:
    id_ = request_id(request)
    body = body_of(error, id_)
    if request.path_info.startswith(API_PREFIXES):
        response = HttpResponse(json.dumps(body), status=error.status, content_type="application/json")
    else:
        message = escape(body["error"]["message"])
        page = f'<!doctype html><html lang="en"><title>{error.status}</title><h1>{error.status}</h1><p>{message}</p><p>Request {id_}</p>'
        response = HttpResponse(page, status=error.status)
    for name, value in headers_of(error, id_).items():
        response[name] = value
    return response
