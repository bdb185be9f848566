"""Errors in every OpenAI-like shape: what a provider said, as a :class:`Failure`.

The HTTP status decides the class. Codes and text are looked at only where one status has two
meanings: 400 and 422, 401 and 403 (key or permission), 404 (model or something else), 412
(suspended), 429 (rate or money), and where there is no status at all, inside a stream.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.errors import Failure, FailureClass
from llm_gateway.core.redact import redact
from llm_gateway.core.retry_after import retry_after_s
from llm_gateway.wires import _context
from llm_gateway.wires._status import kind_of_status

STREAM_REQUIRED = "stream_required"
_K = FailureClass

# What only OpenAI-compatible hosts send.
_BY_STATUS = {
    405: _K.CONFIG,
    424: _K.SERVER_ERROR,  # Hugging Face: the host behind the router failed
    498: _K.OVERLOADED,  # Groq: flex capacity exceeded
}
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "exceeded_current_quota_error",  # Moonshot
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
        "arrearage",  # Alibaba
        "1113",  # Z.ai: balance used up
    }
)
_QUOTA_TEXT = re.compile(
    r"insufficient (?:balance|credit|fund)|credit balance is too low|(?:doesn't|does not) have any credits|used all available credits"
    r"|account [^.]{0,80}is suspended|monthly spending limit",
    re.IGNORECASE,
)
_MODEL_CODES = frozenset({"model_not_found", "model_not_available", "invalid_model", "model_decommissioned", "model_terms_required"})
_MODEL_TEXT = re.compile(
    r"model [`'\"]?[^\s`'\"]+[`'\"]? (?:does not exist|not found|is not found|has been (?:deprecated|decommissioned))"
    r"|not a valid model id|model not found|unknown model|invalid model",
    re.IGNORECASE,
)
_FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "invalid_prompt",
        "moderation_blocked",
        "cyber_policy",
        "data_inspection_failed",
        "datainspectionfailed",
        "1301",  # Z.ai
        "1026",  # MiniMax, in and out
        "1027",
    }
)
_FILTER_TEXT = re.compile(
    r"content exists risk|content management policy|flagged by (?:our )?moderation|requires moderation", re.IGNORECASE
)
_KEY_TEXT = re.compile(r"api key not valid|api[_ ]key[_ ]invalid|incorrect api key|invalid api key", re.IGNORECASE)
_SCOPE_TEXT = re.compile(r"insufficient permissions|missing scopes", re.IGNORECASE)
_PARAMETER_CODES = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden", "unsupported_model_feature"}
)
_PARAMETER_TEXT = re.compile(
    r"extra inputs are not permitted|unrecognized request argument|unknown (?:parameter|field|name)|unsupported parameter"
    r"|(?:does not|doesn't) support|(?:parameter|argument|field)s? .{0,60}not supported",
    re.IGNORECASE,
)
# Fireworks: "Requests with max_tokens > 4096 must have stream=true"; Alibaba: "This model only
# support stream mode".
_STREAM_TEXT = re.compile(r"must have stream\s*=\s*true|only supports? stream|stream\s*=\s*true is required", re.IGNORECASE)
_FIELD = re.compile(r"field: '([^']+)'|parameter: '([^']+)'|argument supplied: (\S+)")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")

# MiniMax's own numbers: https://platform.minimax.io/docs/api-reference/errorcode
_MINIMAX = {
    1000: 500, 1001: 504, 1002: 429, 1004: 401, 1008: 402, 1013: 500, 1024: 500, 1026: 400, 1027: 400, 1033: 500, 1039: 400, 1041: 429,
    1042: 400, 2013: 400, 2045: 429, 2049: 401, 2056: 429,
}  # fmt: skip


class Said(msgspec.Struct, frozen=True):
    """What an error body says, whatever its shape."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str | None = None
    status: int | None = None


def decode_error(status: int | None, headers: Mapping[str, str], body: bytes) -> Failure:
    return failure_of(read(body), status, headers)


def error_in_200(error: Any, status: int | None = None) -> Failure:
    """An error value found inside a response or a stream that began with 200."""
    return failure_of(_said(error) if isinstance(error, str | dict | list) else Said(), status, {})


def failure_of(said: Said, status: int | None, headers: Mapping[str, str]) -> Failure:
    inside = status is None or status < 300
    at = said.status if inside else status
    kind = _classify(at, said) if at else _by_words(said)
    # OpenRouter and others repeat the status as the code.
    code = (said.code if said.code != str(at) else "") or said.type or None
    param = said.param
    if kind is _K.BAD_REQUEST and _STREAM_TEXT.search(said.message):
        code = STREAM_REQUIRED
    if param is None and kind is _K.UNSUPPORTED_PARAMETER and (field := _FIELD.search(said.message)):
        param = next(name for name in field.groups() if name)
    return Failure(
        kind=kind,
        message=redact(said.message),
        status=at,
        code=code,
        retry_after_s=retry_after_s(headers),
        should_retry=_should_retry(headers, said),
        param=param,
    )


def _should_retry(headers: Mapping[str, str], said: Said) -> bool | None:
    word = headers.get("x-should-retry", "").lower()
    if word in ("true", "false"):
        return word == "true"
    # OpenAI's 429 for a request above the whole minute's limit: waiting never helps.
    return False if said.code == "rate_limit_exceeded" and said.message.startswith("Request too large") else None


def _classify(status: int, said: Said) -> FailureClass:
    if status in (400, 422):
        return _bad_request(said)
    words = {said.code.lower(), said.type.lower()}
    if status in (413, 500) and _context.overflows(said.message):
        # llama.cpp fails with 500 in the middle of a stream, Cerebras refuses with 413.
        return _K.CONTEXT_LENGTH
    if status == 401 and said.code != "invalid_api_key" and _SCOPE_TEXT.search(said.message):
        return _K.FORBIDDEN
    if status in (403, 429) and (words & _QUOTA_CODES or _QUOTA_TEXT.search(said.message)):
        return _K.QUOTA
    if status == 403 and (words & _FILTER_CODES or _FILTER_TEXT.search(said.message)):
        return _K.CONTENT_FILTER
    if status == 404 and said.code == "unknown_url":
        return _K.CONFIG
    if status == 404 and said.param not in (None, "", "model"):
        return _K.BAD_REQUEST
    if status == 412:
        return _K.QUOTA if "suspended" in said.message.lower() else _K.BAD_REQUEST
    return _BY_STATUS.get(status) or kind_of_status(status)


def _bad_request(said: Said) -> FailureClass:
    words = {said.code.lower(), said.type.lower()}
    if _context.overflows(said.message, said.code, said.type):
        return _K.CONTEXT_LENGTH
    if words & _MODEL_CODES or _MODEL_TEXT.search(said.message):
        return _K.MODEL_GONE
    if words & _FILTER_CODES or _FILTER_TEXT.search(said.message):
        return _K.CONTENT_FILTER
    if words & _QUOTA_CODES or _QUOTA_TEXT.search(said.message):
        return _K.QUOTA
    if "invalid_api_key" in words or _KEY_TEXT.search(said.message):
        return _K.AUTH
    if words & _PARAMETER_CODES or _PARAMETER_TEXT.search(said.message):
        return _K.UNSUPPORTED_PARAMETER
    return _K.BAD_REQUEST


def _by_words(said: Said) -> FailureClass:
    """No status anywhere: an error frame in a stream, where code and type are all there is."""
    words = {said.code.lower(), said.type.lower()}
    if words & _QUOTA_CODES:
        return _K.QUOTA
    if words & {"rate_limit_exceeded", "rate_limit_error", "tokens", "requests", "too_many_requests"}:
        return _K.RATE_LIMITED
    if words & {"overloaded", "overloaded_error", "engine_overloaded_error", "service_unavailable", "unavailable", "slow_down"}:
        return _K.OVERLOADED
    if words & {"server_error", "internal_server_error", "api_error", "internal_error"}:
        return _K.SERVER_ERROR
    if words & {"invalid_api_key", "authentication_error"}:
        return _K.AUTH
    if words & {"timeout", "timeout_error"}:
        return _K.TIMEOUT
    kind = _bad_request(said)
    if kind is not _K.BAD_REQUEST or words & {"invalid_request_error", "badrequesterror", "bad_request"}:
        return kind
    return _K.ERROR_IN_200


def read(body: bytes) -> Said:
    """Message, type, code and param out of an error body: an object in any of the hosts' shapes, an
    array, a string, text, HTML."""
    value = json.lenient(body) if body.strip() else None
    if isinstance(value, dict | list | str):
        return _said(value)
    text = body.decode("utf-8", "replace").strip()
    if text[:1] == "<":
        title = _TITLE.search(text)
        text = _TAG.sub(" ", title[1] if title else text)
    return Said(" ".join(text.split()))


def failing(resp: Any) -> bool:
    """MiniMax tells its errors beside an answer in a 200, and says 0 where all is well."""
    return isinstance(resp, dict) and resp.get("status_code") not in (None, 0)


def _said(value: Any) -> Said:
    if isinstance(value, str):
        return Said(value)
    if isinstance(value, list):
        return next((_said(item) for item in value if isinstance(item, dict | str)), Said())
    inner, resp = value.get("error"), value.get("base_resp")
    if failing(resp):
        code = resp["status_code"]
        return Said(_text(resp.get("status_msg")), code=_word(code), status=_MINIMAX.get(code) if isinstance(code, int) else None)
    if isinstance(inner, dict):
        return _object(inner)
    if isinstance(inner, str):
        # {"error": "text", "error_type"}, {"error": "Too Many Requests", "message"}, xAI {"code",
        # "error": "text"}
        return _object({"message": value.get("message") or inner, "type": value.get("error_type"), "code": value.get("code")})
    return _object(value)


def _object(error: Mapping[str, Any]) -> Said:
    message = _text(error.get("message")) or _text(error.get("detail")) or _text(error.get("msg")) or _text(error.get("error_message"))
    code, status = error.get("code"), error.get("status_code")
    if not isinstance(status, int):
        status = int(code) if isinstance(code, int | str) and str(code).isdecimal() and 400 <= int(code) <= 599 else None
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
        # OpenRouter hides what the provider behind it said.
        raw = metadata["raw"]
        behind = read(raw.encode()) if raw.lstrip()[:1] in ("{", "[") else Said(raw)
        return Said(
            f"{message}: {behind.message}", behind.type or _word(error.get("type")), behind.code or _word(code), behind.param, status
        )
    inner = error.get("innererror")
    if isinstance(inner, dict) and isinstance(inner.get("code"), str) and not code:
        code = inner["code"]
    param = error.get("param")
    return Said(message, _word(error.get("type")), _word(code), param if isinstance(param, str) and param else _location(error), status)


def _word(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _text(value.get("message")) or _text(value.get("detail")) or _text(value.get("msg"))
    if isinstance(value, list):
        return "; ".join(text for item in value if (text := _text(item)))
    return ""


def _location(error: Mapping[str, Any]) -> str | None:
    """FastAPI's ``detail: [{loc: ["body", "max_tokens"], …}]``."""
    detail = error.get("detail")
    if not isinstance(detail, list) or not detail or not isinstance(detail[0], dict):
        return None
    loc = detail[0].get("loc")
    return ".".join(str(step) for step in loc if step != "body") or None if isinstance(loc, list) else None
