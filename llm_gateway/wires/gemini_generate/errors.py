"""Errors, both ways. https://ai.google.dev/gemini-api/docs/troubleshooting,
https://cloud.google.com/apis/design/errors"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.errors import Failure, FailureClass, GatewayError, UpstreamError
from llm_gateway.core.redact import redact
from llm_gateway.core.retry_after import retry_after_s
from llm_gateway.wires import _context
from llm_gateway.wires._fields import in_callers_words
from llm_gateway.wires._status import kind_of_status, plain_text

from .names import FIELD_NAMES

_K = FailureClass
# A daily quota is not free again within any wait we would sit out; this keeps its key at rest.
DAY_QUOTA_WAIT_S = 3600.0

_RPC_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_STATUS_OF_RPC = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

_KEY_REASONS = frozenset(("API_KEY_INVALID", "API_KEY_EXPIRED"))
_MONEY_REASONS = frozenset(("BILLING_DISABLED", "CONSUMER_SUSPENDED", "BILLING_NOT_ACTIVE"))
_KEY_TEXT = re.compile(r"api key (?:not valid|expired|not found)|reported as leaked|unregistered callers", re.I)
_MONEY_TEXT = re.compile(r"billing (?:account|is|has)|enable billing|free tier is not available|credits? (?:are|is) depleted|prepay", re.I)
_PARAMETER_TEXT = re.compile(r"unknown name|is not supported|does not support|not enabled for|unsupported|cannot find field", re.I)
_NO_QUOTA_TEXT = re.compile(r"\blimit: 0\b(?!\.\d)")
_RETRY_TEXT = re.compile(r"retry in ([0-9.]+)\s*s", re.I)


def decode(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    document = json.lenient(body)
    error = _error_in(document)
    failure = from_object(error, status)
    if not failure.message:
        failure = from_object({"message": plain_text(body)}, status)
    wait = retry_after_s(headers)
    return msgspec.structs.replace(
        failure,
        retry_after_s=failure.retry_after_s if wait is None else max(wait, failure.retry_after_s or 0.0),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "")),
    )


def _error_in(document: Any) -> Any:
    if isinstance(document, list):  # the array form of a stream wraps its error
        document = next((one for one in document if isinstance(one, dict) and "error" in one), None)
    return document.get("error", document) if isinstance(document, dict) else document


def from_object(error: Any, status: int | None = None) -> Failure:
    """An error object; ``status`` is the HTTP status, or nothing when it came inside an answer that
    claimed success."""
    if isinstance(error, str):
        error = {"message": error}
    found: dict[str, Any] = error if isinstance(error, dict) else {}
    word, number = found.get("status"), found.get("code")
    text = found.get("message") if isinstance(found.get("message"), str) else ""
    details = _objects(found.get("details"))
    code = word if isinstance(word, str) else None
    if status is None or status < 300:
        status = number if isinstance(number, int) and 400 <= number < 600 else _STATUS_OF_RPC.get(code or "")
    if status is None:
        return Failure(kind=_K.ERROR_IN_200, message=redact(str(text)), code=code)
    kind, wait = _classify(status, code, str(text), details)
    return Failure(kind=kind, message=redact(str(text)), status=status, code=code, retry_after_s=wait, param=_field(details))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _classify(status: int, code: str | None, text: str, details: list[dict[str, Any]]) -> tuple[FailureClass, float | None]:
    reason = next((one["reason"] for one in details if isinstance(one.get("reason"), str)), "")
    kind = kind_of_status(status)
    if status in (400, 401, 403) and (reason in _KEY_REASONS or _KEY_TEXT.search(text)):
        kind = _K.AUTH
    elif status in (400, 403) and (reason in _MONEY_REASONS or _MONEY_TEXT.search(text)):
        kind = _K.QUOTA
    elif code == "FAILED_PRECONDITION" and "location" in text:
        kind = _K.FORBIDDEN
    elif status == 400 and _context.overflows(text):
        kind = _K.CONTEXT_LENGTH
    elif status in (400, 422) and _PARAMETER_TEXT.search(text):
        kind = _K.UNSUPPORTED_PARAMETER
    elif status == 429:
        return _limit(text, details)
    return kind, _retry_delay(text, details)


def _limit(text: str, details: list[dict[str, Any]]) -> tuple[FailureClass, float | None]:
    """A rate limit, a quota for the day, or a quota of nothing, which no waiting fills."""
    wait = _retry_delay(text, details)
    violations = [one for detail in details for one in _objects(detail.get("violations"))]
    values = [str(one["quotaValue"]) for one in violations if "quotaValue" in one]
    values += [
        str(meta["quota_limit_value"]) for one in details if isinstance(meta := one.get("metadata"), dict) and "quota_limit_value" in meta
    ]
    if "0" in values or _NO_QUOTA_TEXT.search(text) or _MONEY_TEXT.search(text):
        return _K.QUOTA, wait
    if any("PerDay" in str(one.get("quotaId", "")) for one in violations):
        return _K.RATE_LIMITED, max(wait or 0.0, DAY_QUOTA_WAIT_S)
    return _K.RATE_LIMITED, wait


def _retry_delay(text: str, details: list[dict[str, Any]]) -> float | None:
    said = next((one["retryDelay"] for one in details if isinstance(one.get("retryDelay"), str)), "")
    found = _RETRY_TEXT.search(text)
    for candidate in (said.removesuffix("s"), found[1] if found else ""):
        try:
            seconds = float(candidate)
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _field(details: list[dict[str, Any]]) -> str | None:
    for detail in details:
        for one in _objects(detail.get("fieldViolations")):
            if isinstance(one.get("field"), str) and one["field"]:
                return str(one["field"])[:200]
    return None


def encode(error: GatewayError, request_id: str) -> tuple[int, bytes]:
    return error.status, own_answer(error) or json.dumps(shape(error, request_id))


def own_answer(error: GatewayError) -> bytes:
    """The provider's word on a blocked prompt, which in this format is an answer and no error;
    empty for everything else."""
    if error.status == 200 and isinstance(error, UpstreamError) and error.failure.answer:
        return error.failure.answer[1]
    return b""


def shape(error: GatewayError, request_id: str) -> dict[str, Any]:
    name = _RPC_STATUS.get(error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")
    type_url = "type.googleapis.com/google.rpc."
    details: list[dict[str, Any]] = [{"@type": type_url + "ErrorInfo", "reason": error.code.upper(), "domain": "cogo"}]
    if request_id:
        details.append({"@type": type_url + "RequestInfo", "requestId": request_id})
    message, param = in_callers_words(error, FIELD_NAMES)
    if param:
        details.append({"@type": type_url + "BadRequest", "fieldViolations": [{"field": param, "description": message}]})
    if error.retry_after_s is not None:
        details.append({"@type": type_url + "RetryInfo", "retryDelay": f"{max(0.0, error.retry_after_s):.3f}s"})
    return {"error": {"code": error.status, "message": message, "status": name, "details": details}}
