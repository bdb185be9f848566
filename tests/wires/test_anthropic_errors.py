"""Errors of the Messages format, from a provider and to a caller."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.errors import (
    BodyTooLarge,
    BudgetExhausted,
    DeadlineExceeded,
    Failure,
    FailureClass,
    GatewayError,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    RequestExceedsBudget,
    ShuttingDown,
    Unauthenticated,
    UnsupportedParameter,
    from_failure,
)
from llm_gateway.wires.anthropic_messages import DIALECT, WIRE

K = FailureClass


def error(kind: str, message: str = "x") -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req"})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error("invalid_request_error", "messages: at least one message is required"), K.BAD_REQUEST),
        (400, error("invalid_request_error", "prompt is too long: 3333404 tokens > 200000 maximum"), K.CONTEXT_LENGTH),
        (400, b'{"message":"Input is too long for requested model."}', K.CONTEXT_LENGTH),  # Bedrock
        (400, error("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 3"), K.CONTEXT_LENGTH),
        (400, error("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), K.QUOTA),
        (400, error("invalid_request_error", "You have reached your specified API usage limits."), K.QUOTA),
        (400, error("invalid_request_error", "tools.0.custom.foo: Extra inputs are not permitted"), K.UNSUPPORTED_PARAMETER),
        (400, error("invalid_request_error", "This model does not support assistant message prefill."), K.UNSUPPORTED_PARAMETER),
        (400, error("invalid_request_error", "Output blocked by content filtering policy"), K.CONTENT_FILTER),
        (401, error("authentication_error", "invalid x-api-key"), K.AUTH),
        (402, error("billing_error"), K.QUOTA),
        (403, error("permission_error"), K.FORBIDDEN),
        (403, error("billing_error"), K.QUOTA),
        (404, error("not_found_error", "model: claude-1"), K.MODEL_GONE),
        (408, b"", K.TIMEOUT),
        (409, error("invalid_request_error"), K.CONFLICT),
        (413, error("request_too_large"), K.TOO_LARGE),
        (413, b"<html><h1>413</h1></html>", K.TOO_LARGE),
        (422, error("invalid_request_error"), K.BAD_REQUEST),
        (429, error("rate_limit_error"), K.RATE_LIMITED),
        (500, error("api_error"), K.SERVER_ERROR),
        (502, b"<html>bad gateway</html>", K.SERVER_ERROR),
        (503, b"upstream connect error or disconnect/reset before headers. reset reason: connection termination", K.OVERLOADED),
        (504, error("timeout_error"), K.TIMEOUT),
        (520, b"", K.SERVER_ERROR),
        (529, error("overloaded_error"), K.OVERLOADED),
        (301, b"", K.REDIRECT),
        (200, error("overloaded_error"), K.OVERLOADED),
        (200, error("shiny_error"), K.ERROR_IN_200),
        (500, b'["list"]', K.SERVER_ERROR),
        (500, b'"text"', K.SERVER_ERROR),
        (400, b'{"error":"no such thing"}', K.BAD_REQUEST),
        (400, b'{"message":"flat"}', K.BAD_REQUEST),
    ],
)
def test_the_class_of_an_error(status: int, body: bytes, kind: FailureClass) -> None:
    assert WIRE.decode_error(status, {}, body).kind is kind


def test_what_an_error_carries() -> None:
    headers = {"retry-after": "7", "x-should-retry": "false"}
    failure = WIRE.decode_error(429, headers, error("rate_limit_error", "slow down"))
    assert failure == Failure(
        kind=K.RATE_LIMITED, message="slow down", status=429, code="rate_limit_error", retry_after_s=7.0, should_retry=False
    )
    assert WIRE.decode_error(400, {}, error("invalid_request_error", "messages.0.content: bad")).param == "messages.0.content"


def test_a_message_shows_no_key_and_no_markup() -> None:
    secret = "sk" + "-ant-" + "x" * 20
    assert secret not in WIRE.decode_error(401, {}, error("authentication_error", f"invalid key {secret}")).message
    assert WIRE.decode_error(502, {}, b"<html><b>bad</b>\n gateway</html>").message == "bad gateway"
    assert len(WIRE.decode_error(500, {}, b"x" * 10_000).message) <= 500


@pytest.mark.parametrize(
    ("raised", "status", "kind"),
    [
        (InvalidRequest("x"), 400, "invalid_request_error"),
        (UnsupportedParameter("n: x", param="n"), 400, "invalid_request_error"),
        (Unauthenticated("x"), 401, "authentication_error"),
        (RequestExceedsBudget("x"), 402, "billing_error"),
        (PermissionDenied("x"), 403, "permission_error"),
        (ModelNotFound("x"), 404, "not_found_error"),
        (BodyTooLarge("x"), 413, "request_too_large"),
        (RateLimited("x"), 429, "rate_limit_error"),
        (BudgetExhausted("x"), 429, "billing_error"),
        (InternalError("x"), 500, "api_error"),
        (DeadlineExceeded("x"), 504, "timeout_error"),
        (Overloaded("x"), 529, "overloaded_error"),
        (ShuttingDown("x"), 503, "overloaded_error"),
        (from_failure(Failure(kind=K.OVERLOADED)), 529, "overloaded_error"),
        (from_failure(Failure(kind=K.AUTH)), 502, "api_error"),
        (from_failure(Failure(kind=K.RATE_LIMITED)), 429, "rate_limit_error"),
    ],
)
def test_errors_to_a_caller(raised: GatewayError, status: int, kind: str) -> None:
    found, body = DIALECT.encode_error(raised, "r1")
    document: dict[str, Any] = json.loads(body)
    assert (found, document["type"], document["error"]["type"], document["request_id"]) == (status, "error", kind, "r1")
    assert document["error"]["message"] == raised.message
    assert document["error"]["details"]["code"] == raised.code
