"""Every error in the native shape: ``{"error": {code, type, message, request_id, retryable, details?}}``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from llm_gateway.api import refusal
from llm_gateway.core import errors
from llm_gateway.engine.fresh import new_id
from llm_gateway.stores.outage import outage

log = logging.getLogger("cogo.api")


def request_id(request: HttpRequest | Request) -> UUID:
    """The id of this request: made once, the primary key of its log row and what ``x-request-id`` says."""
    plain = request._request if isinstance(request, Request) else request
    known: UUID | None = getattr(plain, "cogo_request_id", None)
    if known is None:
        known = new_id()
        plain.cogo_request_id = known  # type: ignore[attr-defined]
    return known


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's hook. Never returns ``None``: whatever was raised becomes our shape, and a bug becomes 500 without its trace."""
    request = context.get("request")
    error = as_gateway_error(exc)
    id_: object = request_id(request) if request is not None else ""
    headers = refusal.headers(error, id_)
    if type(error) is errors.InternalError:
        log.error("a view failed", exc_info=exc, extra={"request_id": str(id_), "path": getattr(request, "path", "")})
    if isinstance(exc, exceptions.MethodNotAllowed) and context.get("view") is not None:
        headers["allow"] = ", ".join(context["view"].allowed_methods)
    return Response(refusal.native_body(error, id_), status=error.status, headers=headers)


def as_gateway_error(exc: BaseException) -> errors.GatewayError:
    """What the caller is told about ``exc``; :class:`InternalError` itself for anything unforeseen."""
    carried = getattr(exc, "error", None)
    if isinstance(exc, errors.GatewayError):
        return exc
    if isinstance(carried, errors.GatewayError):
        return carried
    match exc:
        case exceptions.NotAuthenticated():
            return errors.Unauthenticated(refusal.NO_KEY)
        case exceptions.AuthenticationFailed():
            return errors.Unauthenticated(_text(exc))
        case exceptions.PermissionDenied():
            return errors.PermissionDenied(_text(exc))
        case DjangoPermissionDenied():
            return errors.PermissionDenied("This is not allowed.")
        case exceptions.UnsupportedMediaType():
            return errors.InvalidRequest("Send the body as JSON, with the header `Content-Type: application/json`.", param="content-type")
        case exceptions.ParseError():
            return errors.InvalidJsonBody(_text(exc))
        case exceptions.MethodNotAllowed():
            return errors.MethodNotAllowed(f"{_text(exc)} The header `Allow` names what this address takes.")
        case exceptions.NotFound() | Http404():
            return errors.NotFound("There is nothing at this address, or it is not yours.")
        case exceptions.Throttled():
            return errors.RateLimited("Too many requests; wait as long as Retry-After says.", retry_after_s=getattr(exc, "wait", None))
        case exceptions.ValidationError():
            return errors.InvalidRequest("Some fields are wrong.", details={"fields": exc.detail})
        case RequestDataTooBig():
            return errors.BodyTooLarge("The body is larger than the gateway takes; send less.")
        case SuspiciousOperation():
            return errors.InvalidRequest("The request is malformed.")
        case exceptions.APIException() if exc.status_code < 500:
            return errors.InvalidRequest(_text(exc))
    return outage(exc) or errors.InternalError()


def _text(exc: exceptions.APIException) -> str:
    detail = exc.detail
    return str(detail) if isinstance(detail, str) else "The request cannot be served as it is."
