"""Gemini's streams."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    Choice,
    FinishReason,
    ToolCall,
)
from llm_gateway.core.errors import (
    AttemptFailed,
    Failure,
)
from llm_gateway.core.events import (
    Done,
    Finish,
    UsageReport,
    collect,
)
from llm_gateway.core.usage import Usage
from llm_gateway.wires.gemini_generate import WIRE
from tests.wires.gemini_streams import (
    K,
    candidate,
    chunk,
    failures,
    read,
    sse,
    whole,
)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("STOP", FinishReason.STOP),
        (1, FinishReason.STOP),
        (2, FinishReason.LENGTH),
        (3, FinishReason.CONTENT_FILTER),
        (99, FinishReason.MODEL_FAULT),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
        ("MODEL_ARMOR", FinishReason.CONTENT_FILTER),
        ("MALFORMED_FUNCTION_CALL", FinishReason.MODEL_FAULT),
        ("MISSING_THOUGHT_SIGNATURE", FinishReason.MODEL_FAULT),
        ("BRAND_NEW", FinishReason.MODEL_FAULT),
        ("FINISH_REASON_UNSPECIFIED", None),
    ],
)
def test_finish_reasons(word: Any, expected: FinishReason | None) -> None:
    found = whole(candidate({"text": "x"}, finish=word)).choices[0]
    assert found.finish is expected


def test_candidates_without_content_or_parts() -> None:
    body = {"candidates": [{"finishReason": "SAFETY"}], "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}}
    found = WIRE.decode_response(json.dumps(body))
    assert found.choices == (Choice(finish=FinishReason.CONTENT_FILTER, raw_finish="SAFETY"),)
    assert found.usage == Usage(input_tokens=4, output_tokens=0)
    spent = whole(
        {"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}, usageMetadata={"promptTokenCount": 4, "thoughtsTokenCount": 9}
    )
    assert spent.usage == Usage(input_tokens=4, output_tokens=9, reasoning_tokens=9)


def test_calls_end_in_tool_calls_and_get_ids_of_their_own() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "QUJD"}
    events = read(sse(chunk(candidate(call, {"functionCall": {"name": "f", "args": {"a": 1}}})), chunk(candidate(finish="STOP"))))
    first, second = collect(events).choices[0].tool_calls
    assert (first.name, first.arguments, first.signature, second.signature) == ("f", '{"a":1}', "QUJD", None)
    assert first.id != second.id
    assert collect(events).choices[0].finish is FinishReason.TOOL_CALLS
    given = whole(candidate({"functionCall": {"id": "own", "name": "f"}}, finish="STOP")).choices[0].tool_calls
    assert given == (ToolCall(id="own", name="f", arguments="{}"),)


def test_a_blocked_prompt_is_a_filtered_request() -> None:
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": "no"}
    body: dict[str, Any] = {"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}}
    with pytest.raises(AttemptFailed) as caught:
        WIRE.decode_response(json.dumps(body))
    own = ("gemini_generate", json.dumps(body))
    assert caught.value.failure == Failure(kind=K.CONTENT_FILTER, message="no", code="SAFETY", answer=own)
    events = read(sse(body))
    assert failures(events) == [caught.value.failure]
    assert UsageReport(Usage(input_tokens=4, output_tokens=0)) in events
    assert Done() not in events
    assert failures(read(sse({"candidates": [], "promptFeedback": {"blockReasonMessage": "x"}})))[0].kind is K.CONTENT_FILTER


def test_done_needs_a_finish_reason_and_the_end_of_the_file() -> None:
    assert Done() not in read(sse(chunk(candidate({"text": "x"}))))
    decoder = WIRE.stream_decoder()
    fed = decoder.feed(sse(chunk(candidate({"text": "x"}, finish="STOP"))))
    assert not any(isinstance(event, Done | Finish) for frame in fed for event in frame.events)
    assert [event for frame in decoder.close() for event in frame.events] == [Finish(FinishReason.STOP, "STOP"), Done()]


def test_a_stop_in_every_chunk_is_one_stop() -> None:
    events = read(sse(*(chunk(candidate({"text": word}, finish="STOP", index=0)) for word in "abc")))
    assert [event for event in events if isinstance(event, Finish)] == [Finish(FinishReason.STOP, "STOP")]
    assert collect(events).text == "abc"


@pytest.mark.parametrize(
    "tail",
    [
        b'{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}\n',
        b'{\n  "error": {\n    "code": 503,\n    "message": "busy",\n    "status": "UNAVAILABLE"\n  }\n}\n',
        b'data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}\r\n\r\n',
        b'data: {"error":{"message":"busy","status":"UNAVAILABLE"}}\r\n\r\n',
        b'data: [{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]\r\n\r\n',
    ],
)
@pytest.mark.parametrize("head", [b"", sse(chunk(candidate({"text": "x"}, finish="STOP")))])
def test_an_error_in_any_dress_ends_the_stream(head: bytes, tail: bytes) -> None:
    events = read(head + tail)
    assert [(failure.kind, failure.status) for failure in failures(events)] == [(K.OVERLOADED, 503)]
    assert Done() not in events


def test_a_broken_chunk_fails() -> None:
    events = read(sse(chunk(candidate({"text": "x"}))) + b"data: {oops\r\n\r\n" + sse(chunk(candidate(finish="STOP"))))
    assert [failure.kind for failure in failures(events)] == [K.BAD_EVENT]
    assert Done() not in events


def test_the_array_form_is_understood() -> None:
    chunks = [chunk(candidate({"text": 'a"]}[{'})), chunk(candidate({"text": "b"}, finish="STOP"))]
    body = b"[" + b"\n,\r\n".join(json.dumps(one) for one in chunks) + b"\n]\n"
    events = read(body)
    assert collect(events).text == 'a"]}[{b'
    assert events[-1] == Done()
    error = b'[{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}]'
    assert failures(read(error))[0].kind is K.RATE_LIMITED
