"""Gemini's whole answers and errors."""

from __future__ import annotations

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    Text,
    Thinking,
)
from llm_gateway.core.errors import (
    AttemptFailed,
    DeadlineExceeded,
    Failure,
    FailureClass,
    GatewayError,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Unauthenticated,
    from_failure,
)
from llm_gateway.core.events import (
    Done,
    Finish,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    UsageReport,
    collect,
    replay,
)
from llm_gateway.core.usage import Usage
from llm_gateway.wires._base import Reply
from llm_gateway.wires.gemini_generate import DIALECT, WIRE
from tests.wires.gemini_streams import (
    ARRAY,
    INVALID_KEY,
    NOTHING,
    PER_DAY,
    REPLY,
    RETRY,
    K,
    candidate,
    error,
    failures,
    read,
    shown,
    whole,
)


def test_usage_in_disjoint_classes() -> None:
    found = whole(
        candidate({"text": "x"}, finish="STOP"),
        usageMetadata={
            "promptTokenCount": 1518,
            "cachedContentTokenCount": 1122,
            "toolUsePromptTokenCount": 10,
            "candidatesTokenCount": 202,
            "thoughtsTokenCount": 185,
            "totalTokenCount": 1915,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1358}, {"modality": "AUDIO", "tokenCount": 160}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 118}],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
            "serviceTier": "standard",
        },
    ).usage
    assert found == Usage(
        input_tokens=1518 + 10 - 1122 - 42,
        cache_read_tokens=1122,
        audio_input_tokens=42,
        output_tokens=202 + 185 - 2,
        audio_output_tokens=2,
        reasoning_tokens=185,
        service_tier="standard",
    )
    assert found.prompt_tokens == 1528


def test_thoughts_signatures_images_and_code() -> None:
    parts = (
        {"text": "hm", "thought": True},
        {"text": "so", "thoughtSignature": "QUJD"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"},
    )
    found = whole(candidate(*parts, finish="STOP")).choices[0]
    assert found.parts[:4] == (
        Thinking(text="hm"),
        Text(text="so"),
        Thinking(signature="QUJD", wire="gemini_generate"),
        Image(media_type="image/png", data="AAAA"),
    )
    assert found.parts[4] == Opaque(wire="gemini_generate", raw=parts[3])
    assert found.tool_calls[0].signature is None


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"candidates":5}'])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(AttemptFailed) as caught:
        WIRE.decode_response(body)
    assert caught.value.failure.kind is K.BAD_JSON


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", INVALID_KEY), K.AUTH),
        (400, error(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), K.AUTH),
        (400, error(400, "INVALID_ARGUMENT", "Request contains an invalid argument."), K.BAD_REQUEST),
        (
            400,
            error(400, "INVALID_ARGUMENT", "The input token count (2) exceeds the maximum number of tokens allowed (1)."),
            K.CONTEXT_LENGTH,
        ),
        (
            400,
            error(400, "INVALID_ARGUMENT", 'Invalid JSON payload received. Unknown name "x": Cannot find field.'),
            K.UNSUPPORTED_PARAMETER,
        ),
        (400, error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), K.FORBIDDEN),
        (400, error(400, "FAILED_PRECONDITION", "Please enable billing on your project."), K.QUOTA),
        (401, error(401, "UNAUTHENTICATED"), K.AUTH),
        (403, error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers"), K.AUTH),
        (403, error(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), K.AUTH),
        (403, error(403, "PERMISSION_DENIED", "API disabled", {"reason": "SERVICE_DISABLED"}), K.FORBIDDEN),
        (403, error(403, "PERMISSION_DENIED", "x", {"reason": "BILLING_DISABLED"}), K.QUOTA),
        (404, error(404, "NOT_FOUND", "models/x is not found for API version v1beta, or is not supported"), K.MODEL_GONE),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
            K.RATE_LIMITED,
        ),
        (429, error(429, "RESOURCE_EXHAUSTED", "quota", PER_DAY), K.RATE_LIMITED),
        (429, error(429, "RESOURCE_EXHAUSTED", "quota", NOTHING), K.QUOTA),
        (429, error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for metric: x, limit: 0, model: y"), K.QUOTA),
        (429, error(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."), K.QUOTA),
        (499, error(499, "CANCELLED"), K.TIMEOUT),
        (500, error(500, "INTERNAL"), K.SERVER_ERROR),
        (503, error(503, "UNAVAILABLE", "The model is overloaded."), K.OVERLOADED),
        (504, error(504, "DEADLINE_EXCEEDED"), K.TIMEOUT),
        (404, b"[" + error(404, "NOT_FOUND") + b"]", K.MODEL_GONE),
        (502, b"<!DOCTYPE html><html><title>Error 502 (Server Error)!!1</title></html>", K.SERVER_ERROR),
        (413, b"<html>too large</html>", K.TOO_LARGE),
        (200, error(503, "UNAVAILABLE"), K.OVERLOADED),
        (200, b'{"error":{"message":"x"}}', K.ERROR_IN_200),
        (500, b"", K.SERVER_ERROR),
        (500, b"[]", K.SERVER_ERROR),
        (400, b'{"error":"plain"}', K.BAD_REQUEST),
    ],
)
def test_the_class_of_an_error(status: int, body: bytes, kind: FailureClass) -> None:
    assert WIRE.decode_error(status, {}, body).kind is kind


def test_how_long_to_wait() -> None:
    def wait(body: bytes, **headers: str) -> float | None:
        return WIRE.decode_error(429, headers, body).retry_after_s

    assert wait(error(429, "RESOURCE_EXHAUSTED", "x", RETRY)) == 48.5
    assert wait(error(429, "RESOURCE_EXHAUSTED", "x\nPlease retry in 12.25s.")) == 12.25
    assert wait(error(429, "RESOURCE_EXHAUSTED", "x", RETRY), **{"retry-after": "60"}) == 60.0
    assert wait(error(429, "RESOURCE_EXHAUSTED", "x", RETRY, PER_DAY)) == 3600.0
    assert wait(error(429, "RESOURCE_EXHAUSTED", "x", {"retryDelay": "soon"})) is None


def test_a_message_shows_no_key() -> None:
    key = "AIza" + "x" * 35
    failure = WIRE.decode_error(400, {}, error(400, "INVALID_ARGUMENT", f"API key not valid: {key}"))
    assert key not in failure.message
    assert failure.code == "INVALID_ARGUMENT"
    field = {"fieldViolations": [{"field": "contents[0].parts", "description": "x"}]}
    assert WIRE.decode_error(400, {}, error(400, "INVALID_ARGUMENT", "x", field)).param == "contents[0].parts"


@pytest.mark.parametrize(
    ("raised", "status", "name"),
    [
        (InvalidRequest("x", param="contents"), 400, "INVALID_ARGUMENT"),
        (Unauthenticated("x"), 401, "UNAUTHENTICATED"),
        (ModelNotFound("x"), 404, "NOT_FOUND"),
        (RateLimited("x", retry_after_s=2.5), 429, "RESOURCE_EXHAUSTED"),
        (InternalError("x"), 500, "INTERNAL"),
        (Overloaded("x"), 503, "UNAVAILABLE"),
        (DeadlineExceeded("x"), 504, "DEADLINE_EXCEEDED"),
        (from_failure(Failure(kind=K.AUTH)), 502, "INTERNAL"),
    ],
)
def test_errors_to_a_caller(raised: GatewayError, status: int, name: str) -> None:
    found, body = DIALECT.encode_error(raised, "r1")
    document = json.loads(body)["error"]
    assert (found, document["code"], document["status"]) == (status, status, name)
    assert document["message"] == raised.message
    assert document["details"][0]["reason"] == raised.code.upper()
    delays = [detail["retryDelay"] for detail in document["details"] if "retryDelay" in detail]
    assert delays == (["2.500s"] if raised.retry_after_s else [])


def test_chunks_to_a_caller() -> None:
    found = shown(
        Start("id", "upstream"),
        TextDelta("a"),
        ToolStart(0, "c1", "f"),
        ToolStart(1, "c1", "g"),
        ToolDelta(0, '{"x"'),
        ToolDelta(1, "{}"),
        ToolDelta(0, ":1}"),
        UsageReport(Usage(input_tokens=5, output_tokens=6)),
        Finish(FinishReason.TOOL_CALLS, "tool_calls"),
        Done(),
    )
    assert [one["candidates"][0]["content"]["parts"] for one in found] == [
        [{"text": "a"}],
        [
            {"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}, "thoughtSignature": "skip_thought_signature_validator"},
            {"functionCall": {"id": "c1_2", "name": "g", "args": {}}},
        ],
        [{"text": ""}],
    ]
    assert ["finishReason" in one["candidates"][0] for one in found] == [False, False, True]
    assert found[-1]["candidates"][0]["finishReason"] == "STOP"
    assert found[-1]["usageMetadata"] == {"promptTokenCount": 5, "candidatesTokenCount": 6, "totalTokenCount": 11}
    assert all((one["modelVersion"], one["responseId"]) == ("m", "id") for one in found)


@pytest.mark.parametrize("reply", [REPLY, ARRAY])
def test_an_error_ends_the_stream(reply: Reply) -> None:
    encoder = DIALECT.stream_encoder(reply)
    head = encoder.encode([Start("id", "m"), TextDelta("x")])
    tail = encoder.error(Overloaded("wait", retry_after_s=3))
    assert encoder.encode([TextDelta("y"), Done()]) == b""
    assert encoder.error(Overloaded("again")) == b""
    events = read(head + tail)
    assert collect(events).text == "x"
    assert (failures(events)[0].kind, failures(events)[0].retry_after_s) == (K.OVERLOADED, 3.0)
    if reply is ARRAY:
        assert json.loads(head + tail)[1]["error"]["status"] == "UNAVAILABLE"


def test_the_array_form_is_one_json_array() -> None:
    response = ChatResponse(id="i", model="m", choices=(Choice(parts=(Text(text="x"),), finish=FinishReason.STOP, raw_finish="STOP"),))
    encoder = DIALECT.stream_encoder(ARRAY)
    body = b"".join(encoder.encode([event]) for event in replay(response))
    assert [one["candidates"][0].get("finishReason") for one in json.loads(body)] == [None, "STOP"]


def test_an_answer_without_a_finish_still_ends() -> None:
    for events in ([Start("i", "m"), TextDelta("x"), Done()], [Start("i", "m"), Done()]):
        assert shown(*events)[-1]["candidates"] == [
            {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}
        ]


def test_a_caller_who_did_not_ask_sees_no_thoughts_but_keeps_signatures() -> None:
    def asked(reasoning: Reasoning | None) -> Reply:
        chat = ChatRequest(model="m", messages=(Message(role="user", parts=()),), reasoning=reasoning, origin="gemini_generate")
        return Reply(request_id="r", model="m", created=0, chat=chat)

    parts: tuple[Part, ...] = (Thinking(text="hm", signature="QUJD", wire="gemini_generate"), Text(text="x"))
    response = ChatResponse(id="i", model="m", choices=(Choice(parts=parts, finish=FinishReason.STOP),))
    quiet = json.loads(DIALECT.encode_response(response, asked(None)))["candidates"][0]["content"]["parts"]
    told = json.loads(DIALECT.encode_response(response, asked(Reasoning(include=True))))["candidates"][0]["content"]["parts"]
    assert quiet == [{"text": "", "thoughtSignature": "QUJD"}, {"text": "x"}]
    assert told[0] == {"text": "hm", "thought": True, "thoughtSignature": "QUJD"}
    found = shown(Start("i", "m"), ThinkingDelta("hm"), TextDelta("x"), Finish(FinishReason.STOP), Done(), reply=asked(None))
    assert [part for one in found for part in one["candidates"][0]["content"]["parts"]] == [{"text": "x"}, {"text": ""}]


@pytest.mark.parametrize(
    ("finish", "raw", "word"),
    [
        (FinishReason.STOP, "stop", "STOP"),
        (FinishReason.STOP_SEQUENCE, "stop_sequence", "STOP"),
        (FinishReason.TOOL_CALLS, "tool_use", "STOP"),
        (FinishReason.LENGTH, "max_tokens", "MAX_TOKENS"),
        (FinishReason.CONTENT_FILTER, "RECITATION", "RECITATION"),
        (FinishReason.REFUSAL, "refusal", "SAFETY"),
        (FinishReason.MODEL_FAULT, None, "OTHER"),
        (FinishReason.MODEL_FAULT, "MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_finish_reasons_to_a_caller(finish: FinishReason, raw: str | None, word: str) -> None:
    response = ChatResponse(choices=(Choice(finish=finish, raw_finish=raw),))
    assert json.loads(DIALECT.encode_response(response, REPLY))["candidates"][0]["finishReason"] == word
