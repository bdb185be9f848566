"""Errors, both ways. https://docs.claude.com/en/api/errors"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.errors import Failure, FailureClass, GatewayError, UnsupportedParameter, UpstreamError
from llm_gateway.core.redact import redact
from llm_gateway.core.retry_after import retry_after_s
from llm_gateway.wires import _context
from llm_gateway.wires._fields import in_callers_words
from llm_gateway.wires._status import kind_of_status, plain_text

from .names import FIELD_NAMES

_K = FailureClass

_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPE_OF_STATUS = {status: name for name, status in _STATUS_OF_TYPE.items()} | {
    405: "invalid_request_error",
    408: "timeout_error",
    409: "invalid_request_error",
    422: "invalid_request_error",
    503: "overloaded_error",
}

# The status is 400 for all of these; only the text tells them apart.
_BY_TEXT = (
    (re.compile(r"credit balance|billing|specified api usage limits|purchase credits", re.I), _K.QUOTA),
    (re.compile(r"content filtering policy|content_filter", re.I), _K.CONTENT_FILTER),
    (
        re.compile(
            r"extra inputs are not permitted|does(?:n't| not) support|is not supported|unsupported|is deprecated for this model", re.I
        ),
        _K.UNSUPPORTED_PARAMETER,
    ),
)
_FIELD = re.compile(r"^([a-z_]+(?:\.[\w-]+)*): ")


class ThreadRefused(UnsupportedParameter):
    """A conversation kept by one provider under one key could not go to the next one, and what it
    costs could not be held beforehand.

    The SDKs know Anthropic's own word for it and send the whole conversation instead.
    """

    def __init__(self) -> None:
        super().__init__("The gateway keeps no threads; send the whole conversation and leave `thread` out.", param="thread")


def decode(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    document = json.lenient(body)
    if isinstance(document, list):
        document = document[0] if document else None
    error = document.get("error", document) if isinstance(document, dict) else document
    failure = from_object(error, status)
    if not failure.message:
        text = plain_text(body)
        failure = from_object({"type": failure.code, "message": text}, status)
    return msgspec.structs.replace(
        failure,
        retry_after_s=retry_after_s(headers),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "")),
    )


def from_object(error: Any, status: int | None = None) -> Failure:
    """An error object; ``status`` is the HTTP status, or nothing (or 200) when it came inside an
    answer that claimed success."""
    code, text = "", ""
    if isinstance(error, dict):
        code = _string(error.get("type")) or _string(error.get("code"))
        text = _string(error.get("message")) or _string(error.get("error"))
    elif isinstance(error, str):
        text = error
    embedded = status is None or status < 300
    known = _STATUS_OF_TYPE.get(code) if embedded else status
    kind = kind_of_status(known) if known else _K.ERROR_IN_200
    if code == "billing_error":
        kind = _K.QUOTA
    elif known in (400, 403, 422):
        kind = next((found for pattern, found in _BY_TEXT if pattern.search(text) and (known != 403 or found is _K.QUOTA)), kind)
        if known != 403 and kind is not _K.QUOTA and _context.overflows(text, code):
            kind = _K.CONTEXT_LENGTH
    field = _FIELD.match(text)
    return Failure(kind=kind, message=redact(text), status=known, code=code or None, param=field[1] if field else None)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def encode(error: GatewayError, request_id: str) -> tuple[int, bytes]:
    """529 is the format's own number for an overloaded service; the SDKs and Claude Code wait and
    retry on it."""
    status = 529 if error.code in ("overloaded", "upstream_overloaded") else error.status
    return status, json.dumps(shape(error, request_id))


def shape(error: GatewayError, request_id: str) -> dict[str, Any]:
    if error.type == "billing_error":
        name = "billing_error"
    else:
        name = _TYPE_OF_STATUS.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    details: dict[str, Any] = {"code": error.code}
    message, param = in_callers_words(error, FIELD_NAMES)
    if param:
        details["param"] = param
    if isinstance(error, UpstreamError) and error.failure.kind is _K.CONTEXT_LENGTH:
        # Agents of this format make their history shorter when they read these words, and loop on
        # any other.
        message = _context.as_anthropic_says(error.failure.message, error.failure.prompt_tokens, error.failure.window)
    if isinstance(error, ThreadRefused):
        details |= {"error_code": "thread_unsupported_request", "unsupported": ["gateway"]}
    if error.details:
        details["more"] = error.details
    return {"type": "error", "error": {"type": name, "message": message, "details": details}, "request_id": request_id}
