"""Every error in the native shape: ``{"error": {code, type, message, request_id, retryable, details?}}``."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from llm_gateway.core import errors
from llm_gateway.engine.fresh import new_id
from llm_gateway.stores.outage import outage

from .auth import REALM

log = logging.getLogger("cogo.api")

# A refusal that may end within a minute says when; a longer wait is no invitation to hold the line.
LONGEST_WAIT_S = 60


def request_id(request: HttpRequest | Request) -> UUID:
    """The id of this request: made once, the primary key of its log row and what ``x-request-id`` says."""
    plain = request._request if isinstance(request, Request) else request
    known: UUID | None = getattr(plain, "cogo_request_id", None)
    if known is None:
        known = new_id()
        plain.cogo_request_id = known  # type: ignore[attr-defined]
    return known


def body_of(error: errors.GatewayError, id_: object) -> dict[str, Any]:
    """The JSON body. ``details`` holds ``param``, the field at fault, when one is known."""
    told: dict[str, Any] = {
        "code": error.code,
        "type": error.type,
        "message": error.message or _FALLBACK.get(error.code, "The request failed."),
        "request_id": str(id_),
        "retryable": error.retryable,
    }
    details = dict(error.details or {})
    if error.param is not None:
        details.setdefault("param", error.param)
    if details:
        told["details"] = details
    return {"error": told}


_FALLBACK = {"internal_error": "The gateway failed; the operator finds the reason under this request id."}


def headers_of(error: errors.GatewayError, id_: object) -> dict[str, str]:
    """``retry-after`` in whole seconds; ``x-should-retry: false`` keeps SDKs from multiplying our own retries."""
    headers = {"x-request-id": str(id_)}
    wait = error.retry_after_s
    if error.retryable:
        headers["retry-after"] = str(max(1, math.ceil(1 if wait is None else wait)))
    else:
        headers["x-should-retry"] = "false"
        if wait is not None and wait <= LONGEST_WAIT_S:
            headers["retry-after"] = str(max(1, math.ceil(wait)))
    if error.status == 401:
        headers["www-authenticate"] = REALM
    return headers


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's hook. Never returns ``None``: whatever was raised becomes our shape, and a bug becomes 500 without its trace."""
    request = context.get("request")
    error = as_gateway_error(exc)
    id_: object = request_id(request) if request is not None else ""
    headers = headers_of(error, id_)
    if type(error) is errors.InternalError:
        log.error("a view failed", exc_info=exc, extra={"request_id": str(id_), "path": getattr(request, "path", "")})
    if isinstance(exc, exceptions.MethodNotAllowed) and context.get("view") is not None:
        headers["allow"] = ", ".join(context["view"].allowed_methods)
    return Response(body_of(error, id_), status=error.status, headers=headers)


def as_gateway_error(exc: BaseException) -> errors.GatewayError:
    """What the caller is told about ``exc``; :class:`InternalError` itself for anything unforeseen."""
    carried = getattr(exc, "error", None)
    if isinstance(exc, errors.GatewayError):
        return exc
    if isinstance(carried, errors.GatewayError):
        return carried
    match exc:
        case exceptions.NotAuthenticated():
            return errors.Unauthenticated("No client key was sent; put it in the header `Authorization: Bearer KEY`.")
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
