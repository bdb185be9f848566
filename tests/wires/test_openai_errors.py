"""Every error shape that OpenAI and the hosts of its formats send, as one failure."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.errors import AttemptFailed, FailureClass, InvalidRequest, RateLimited, UnsupportedParameter
from llm_gateway.wires import openai_chat, openai_responses

K = FailureClass
QUOTA_TEXT = "You exceeded your current quota, please check your plan and billing details."
ENVOY = b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def error(message: str = "m", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # OpenAI
        (400, error(type="invalid_request_error", code="unsupported_parameter", param="max_tokens"), K.UNSUPPORTED_PARAMETER),
        (400, error(type="invalid_request_error", code="unsupported_value", param="temperature"), K.UNSUPPORTED_PARAMETER),
        (400, error(type="invalid_request_error", code="invalid_value", param="input[2]"), K.BAD_REQUEST),
        (400, error("Your input exceeds the context window of this model.", code="context_length_exceeded"), K.CONTEXT_LENGTH),
        (400, error("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."), K.CONTEXT_LENGTH),
        (
            400,
            error("max_tokens is too large: 99999. This model supports at most 16384 completion tokens.", param="max_tokens"),
            K.BAD_REQUEST,
        ),
        (400, error("The requested model 'x' does not exist.", code="model_not_found", param="model"), K.MODEL_GONE),
        (400, error("Your request was rejected", code="content_policy_violation"), K.CONTENT_FILTER),
        (
            400,
            error("The response was filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
            K.CONTENT_FILTER,
        ),
        (401, error("Incorrect API key provided: x", code="invalid_api_key"), K.AUTH),
        (401, error("You have insufficient permissions for this operation. Missing scopes: model.request", code=None), K.FORBIDDEN),
        (403, error("You are not allowed to sample from this model", code=None), K.FORBIDDEN),
        (403, error("Country, region, or territory not supported", code="unsupported_country_region_territory"), K.FORBIDDEN),
        (404, error("The model `x` does not exist", code="model_not_found"), K.MODEL_GONE),
        (404, error("Unknown request URL", code="unknown_url"), K.CONFIG),
        (404, error("Previous response not found", code="previous_response_not_found", param="previous_response_id"), K.BAD_REQUEST),
        (408, b"", K.TIMEOUT),
        (409, b"", K.CONFLICT),
        (413, HTML, K.TOO_LARGE),
        (429, error("Rate limit reached for requests", type="requests", code="rate_limit_exceeded"), K.RATE_LIMITED),
        (429, error(QUOTA_TEXT, type="insufficient_quota", code="insufficient_quota"), K.QUOTA),
        (500, error(type="server_error"), K.SERVER_ERROR),
        (502, HTML, K.SERVER_ERROR),
        (503, ENVOY, K.OVERLOADED),
        (503, error("The engine is currently overloaded"), K.OVERLOADED),
        (504, b"", K.TIMEOUT),
        (529, b"", K.OVERLOADED),
        (520, b"error code: 520", K.SERVER_ERROR),
        (302, b"", K.REDIRECT),
        # Fireworks
        (
            400,
            error("Extra inputs are not permitted, field: 'tools[0].x'", object="error", code="invalid_request_error"),
            K.UNSUPPORTED_PARAMETER,
        ),
        (402, error("Payment required", code="PAYMENT_REQUIRED"), K.QUOTA),
        (404, error("Model not found, inaccessible, and/or not deployed", code="NOT_FOUND"), K.MODEL_GONE),
        (412, error("Account x is suspended, possibly due to reaching the monthly spending limit.", code="PRECONDITION_FAILED"), K.QUOTA),
        (412, error("Precondition failed", code="PRECONDITION_FAILED"), K.BAD_REQUEST),
        (429, {"error": "Too Many Requests", "message": "slow down"}, K.RATE_LIMITED),
        # other hosts
        (400, {"object": "error", "message": "No such field", "type": "BadRequestError", "param": None, "code": 400}, K.BAD_REQUEST),
        (400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided"}, K.AUTH),
        (400, error("x is not a valid model ID", code=400), K.MODEL_GONE),
        (400, error("Content Exists Risk", type="invalid_request_error"), K.CONTENT_FILTER),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}],
            K.AUTH,
        ),
        (402, error("Insufficient Balance", code="invalid_request_error"), K.QUOTA),
        (403, {"code": "permission", "error": "Your team doesn't have any credits yet."}, K.QUOTA),
        (403, error("Your input was flagged by moderation", code=403, metadata={"reasons": ["x"]}), K.CONTENT_FILTER),
        (422, {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}, K.BAD_REQUEST),
        (
            422,
            {"object": "error", "message": {"detail": [{"msg": "Extra inputs are not permitted"}]}, "code": None},
            K.UNSUPPORTED_PARAMETER,
        ),
        (
            429,
            {"code": "request_quota_exceeded", "message": "Requests per second limit exceeded", "type": "too_many_requests_error"},
            K.RATE_LIMITED,
        ),
        (429, error("Insufficient balance or no resource package.", code="1113"), K.QUOTA),
        (429, error("Your account is suspended", type="exceeded_current_quota_error"), K.QUOTA),
        (498, error("capacity_exceeded"), K.OVERLOADED),
    ],
)
def test_the_status_decides_and_words_only_where_it_has_two_meanings(status: int, body: Any, kind: FailureClass) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body)
    for package in (openai_chat, openai_responses):
        failure = package.WIRE.decode_error(status, {}, raw)
        assert (failure.kind, failure.status) == (kind, status)


@pytest.mark.parametrize(
    ("body", "message", "code", "param"),
    [
        (b'{"error":{"message":"m","type":"t","param":"p","code":"c"}}', "m", "c", "p"),
        (b'{"error":{"message":"m","type":"t","param":null,"code":null}}', "m", "t", None),
        (b'{"error":{"message":"m","code":418}}', "m", None, None),
        (b'{"error":"text","error_type":"template_error"}', "text", "template_error", None),
        (b'{"code":"The service is unavailable","error":"At capacity."}', "At capacity.", "The service is unavailable", None),
        (b'{"detail":"Not Found"}', "Not Found", None, None),
        (b'{"detail":[{"loc":["body","a","b"],"msg":"bad"}]}', "bad", None, "a.b"),
        (b'"just text"', "just text", None, None),
        (b"plain\n text ", "plain text", None, None),
        (b"<!DOCTYPE html><html><head><title>Oops\n!</title></head></html>", "Oops !", None, None),
        (b"<p>no <b>title</b></p>", "no title", None, None),
        (b"", "", None, None),
        (b"[]", "", None, None),
        (b"null", "null", None, None),
        (b"\xff\xfe", "\ufffd\ufffd", None, None),
        (
            b'{"error":{"message":"Provider returned error","code":418,"metadata":{"raw":"busy","provider_name":"X"}}}',
            "Provider returned error: busy",
            None,
            None,
        ),
    ],
)
def test_every_shape_gives_message_code_and_param(body: bytes, message: str, code: str | None, param: str | None) -> None:
    failure = openai_chat.WIRE.decode_error(418, {}, body)
    assert (failure.message, failure.code, failure.param) == (message, code, param)


def test_the_demand_for_a_stream_is_told_apart() -> None:
    body = json.dumps(error("Requests with max_tokens > 4096 must have stream=true", param="max_tokens", code="BAD_REQUEST", type="error"))
    failure = openai_chat.WIRE.decode_error(400, {}, body)
    assert (failure.kind, failure.code) == (K.BAD_REQUEST, "stream_required")


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "20", "retry-after-ms": "19500"}, 19.5),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_wait_comes_from_the_headers(headers: dict[str, str], wait: float | None) -> None:
    assert openai_chat.WIRE.decode_error(429, headers, b"{}").retry_after_s == wait


@pytest.mark.parametrize(("word", "expected"), [("true", True), ("false", False), ("maybe", None), (None, None)])
def test_an_explicit_word_on_retrying_is_kept(word: str | None, expected: bool | None) -> None:
    headers = {} if word is None else {"x-should-retry": word}
    assert openai_chat.WIRE.decode_error(429, headers, b"{}").should_retry is expected


def test_a_request_above_the_whole_limit_is_not_worth_repeating() -> None:
    body = json.dumps(error("Request too large for gpt-x on tokens per min (TPM)", type="tokens", code="rate_limit_exceeded"))
    assert openai_chat.WIRE.decode_error(429, {}, body).should_retry is False


def test_a_key_in_the_providers_text_is_not_kept() -> None:
    key = "key_" + "x" * 12
    failure = openai_chat.WIRE.decode_error(401, {}, json.dumps(error(f"Incorrect API key provided: {key}.")))
    assert key not in failure.message
    assert failure.message.startswith("Incorrect API key provided")


@pytest.mark.parametrize("package", [openai_chat, openai_responses])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (error("Provider returned error", code=502), K.SERVER_ERROR),
        (error("Too busy", code=429), K.RATE_LIMITED),
        (error(QUOTA_TEXT, type="insufficient_quota", code="insufficient_quota"), K.QUOTA),
        (error("hm"), K.ERROR_IN_200),
        ({"detail": "unavailable"}, K.ERROR_IN_200),
        (b"<html></html>", K.BAD_JSON),
        (b'{"id":"x","ch', K.BAD_JSON),
        (b"[]", K.BAD_JSON),
        (b"{}", K.BAD_JSON),
    ],
)
def test_an_error_inside_a_200_has_the_class_of_what_it_says(package: Any, body: Any, kind: FailureClass) -> None:
    with pytest.raises(AttemptFailed) as caught:
        package.WIRE.decode_response(body if isinstance(body, bytes) else json.dumps(body))
    assert caught.value.failure.kind is kind


def test_a_failed_response_is_no_answer() -> None:
    body = {"id": "resp_1", "status": "failed", "output": [], "error": {"code": "rate_limit_exceeded", "message": "Slow."}}
    with pytest.raises(AttemptFailed) as caught:
        openai_responses.WIRE.decode_response(json.dumps(body))
    assert (caught.value.failure.kind, caught.value.failure.message) == (K.RATE_LIMITED, "Slow.")


@pytest.mark.parametrize("package", [openai_chat, openai_responses])
def test_a_caller_is_told_in_openais_shape(package: Any) -> None:
    status, body = package.DIALECT.encode_error(UnsupportedParameter("No seed here.", param="seed"), "req")
    assert status == 400
    assert json.loads(body) == {
        "error": {"message": "No seed here.", "type": "invalid_request_error", "param": "seed", "code": "unsupported_parameter"}
    }
    assert package.DIALECT.encode_error(RateLimited("Wait."), "req")[0] == 429


@pytest.mark.parametrize("package", [openai_chat, openai_responses])
@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, "invalid_json"),
        (b"{", None, "invalid_json"),
        (b'{"model":"a","model":"b","messages":[],"input":[]}', None, "invalid_json"),
        (b"[]", None, "invalid_request"),
        (b'{"messages":[],"input":[]}', "model", "invalid_request"),
        (b'{"model":"","messages":[],"input":[]}', "model", "invalid_request"),
        (b'{"model":1,"messages":[],"input":[]}', "model", "invalid_request"),
        (b'{"model":"m","messages":[],"input":[],"stream":"yes"}', "stream", "invalid_request"),
        (b'{"model":"m","messages":[],"input":[],"temperature":"hot"}', "temperature", "invalid_request"),
    ],
)
def test_a_wrong_body_is_refused_with_the_path_of_its_fault(package: Any, body: bytes, param: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        package.DIALECT.decode_request(body, {})
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ('"messages":[{"content":"x"}]', "messages[0].role"),
        ('"messages":[{"role":"user","content":[{"type":"text"},{"type":1}]}]', "messages[0].content[1].type"),
        ('"messages":[],"max_tokens":-1', "max_tokens"),
        ('"messages":[],"max_completion_tokens":99999999999', "max_completion_tokens"),
        ('"messages":[],"n":0', "n"),
        ('"messages":[],"n":129', "n"),
        ('"messages":[],"tools":[{"type":"function","function":{}}]', "tools[0].function.name"),
        ('"messages":[],"stream_options":{"include_usage":1}', "stream_options.include_usage"),
    ],
)
def test_a_wrong_type_deep_inside_is_named_by_its_path(fields: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        openai_chat.DIALECT.decode_request(f'{{"model":"m",{fields}}}'.encode(), {})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "robot", "content": "x"}], "messages[0].role"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "u"}}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0].image_url"),
        ([{"role": "assistant", "content": "He", "prefix": True}], "messages[0].prefix"),
        ([{"role": "assistant", "tool_calls": [{"id": "a", "type": "function"}]}], "messages[0].tool_calls[0].function"),
    ],
)
def test_what_cannot_be_translated_is_refused_only_when_somebody_translates(messages: list[Any], param: str) -> None:
    inbound = openai_chat.DIALECT.decode_request(json.dumps({"model": "m", "messages": messages}), {})
    with pytest.raises(InvalidRequest) as caught:
        inbound.chat()
    assert caught.value.param == param
