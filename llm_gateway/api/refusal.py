"""What a refused caller gets, and how the client key of a request is read: one rule for every host and dialect.

The body of a compatible API has its dialect's own shape (``Dialect.encode_error``); everything else here is the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llm_gateway.core.errors import GatewayError, InvalidRequest, MethodNotAllowed, Unauthenticated, UpgradeRequired

REALM = 'Bearer realm="cogo"'
# A refusal that ends within a minute says when; SDKs ignore a longer wait, or hold the line for it.
LONGEST_WAIT_S = 60
# Messages of errors that carry none.
_MESSAGES = {"internal_error": "The gateway failed; its operator finds the reason under this request id."}
_KEY_HEADERS = ("x-api-key", "x-goog-api-key")
NO_KEY = "No client key was sent; put it into the header `Authorization: Bearer KEY`, `x-api-key` or `x-goog-api-key`."
TWO_KEYS = "Two different client keys were sent, in `authorization`, `x-api-key` or `x-goog-api-key`; send one."


def native_body(error: GatewayError, request_id: object) -> dict[str, Any]:
    """``{"error": {code, type, message, request_id, retryable, details?}}``. ``details.param`` names the field at fault."""
    shown: dict[str, Any] = {
        "code": error.code,
        "type": error.type,
        "message": error.message or _MESSAGES.get(error.code, "The request failed."),
        "request_id": str(request_id),
        "retryable": error.retryable,
    }
    details = dict(error.details or {})
    if error.param is not None:
        details.setdefault("param", error.param)
    if details:
        shown["details"] = details
    return {"error": shown}


def headers(error: GatewayError, request_id: object) -> dict[str, str]:
    """Lower-case names. The id stands under the names that OpenAI's and Anthropic's SDKs read; ``x-should-retry`` keeps SDKs from
    multiplying the gateway's own retries; a wait is given in whole seconds, rounded up, and exactly in milliseconds."""
    shown = {
        "x-request-id": str(request_id),
        "request-id": str(request_id),
        "x-should-retry": "true" if error.retryable else "false",
        **_wait(error),
    }
    if error.status == 401:
        shown["www-authenticate"] = REALM
    if isinstance(error, MethodNotAllowed) and error.details:
        shown["allow"] = ", ".join(error.details["allow"])
    if isinstance(error, UpgradeRequired):
        shown["upgrade"] = "HTTP/1.1"
    return shown


def _wait(error: GatewayError) -> dict[str, str]:
    wait = error.retry_after_s
    if error.retryable:
        seconds = max(1, math.ceil(1 if wait is None else wait))
    elif wait is not None and wait <= LONGEST_WAIT_S:
        seconds = max(1, math.ceil(wait))
    else:
        return {}
    shown = {"retry-after": str(seconds)}
    if wait is not None:
        shown["retry-after-ms"] = str(max(0, round(wait * 1000)))
    return shown


def presented_key(sent: Mapping[str, str]) -> str | None:
    """The client key, wherever a dialect carries it; ``None`` without one. ``sent``: headers, found by lower-case names. Raises
    :class:`InvalidRequest` for two different keys."""
    keys = []
    authorization = sent.get("authorization", "")
    if authorization[:7].lower() == "bearer ":
        keys.append(authorization[7:].strip())
    keys += [value for name in _KEY_HEADERS if (value := sent.get(name, "").strip())]
    if len(keys) > 1 and len(set(keys)) > 1:
        raise InvalidRequest(TWO_KEYS, param="authorization")
    return keys[0] if keys else None


def required_key(sent: Mapping[str, str]) -> str:
    """As :func:`presented_key`. Raises :class:`Unauthenticated` without a key."""
    key = presented_key(sent)
    if key is None:
        raise Unauthenticated(NO_KEY)
    return key
