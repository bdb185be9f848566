"""Real traffic of Gemini's format means what a naive reading of it says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from llm_gateway.core.chat import ChatResponse, FinishReason, Image, Opaque
from llm_gateway.core.errors import AttemptFailed, FailureClass
from llm_gateway.core.events import Done, Event, Failed, Frame, collect
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires.gemini_generate import DIALECT, WIRE, embeddings
from llm_gateway.wires.gemini_generate.wire import GeminiCounter

from . import recorded

pytestmark = recorded.mark

WHOLE = recorded.load("gemini", "generate")
STREAMS = recorded.load("gemini", "generate-stream")
ERRORS = recorded.load("gemini", "error")
COUNTS = recorded.load("gemini", "count-tokens")
EMBEDDINGS = recorded.load("gemini", "embeddings")
FILTERED = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")


def stream_of(body: bytes, size: int = 0) -> tuple[list[Frame], list[Event]]:
    decoder = WIRE.stream_decoder()
    pieces = [body[at : at + size] for at in range(0, len(body), size)] if size else [body]
    frames = [frame for piece in pieces for frame in decoder.feed(piece)] + decoder.close()
    return frames, [event for frame in frames for event in frame.events]


def naive_chunks(body: bytes) -> list[dict[str, Any]]:
    if body.startswith(b"["):
        return list(json.loads(body))
    return [json.loads(line[5:]) for line in re.split(r"\r?\n", body.decode()) if line.startswith("data:")]


def bare_error(body: bytes) -> dict[str, Any] | None:
    found = re.search(r"^\{\s*\"error\".*", body.decode(), re.MULTILINE | re.DOTALL)
    return json.loads(found[0])["error"] if found else None


def expected_finish(word: str | int, calls: bool) -> FinishReason:
    if word in ("STOP", 1):
        return FinishReason.TOOL_CALLS if calls else FinishReason.STOP
    if word == "MAX_TOKENS":
        return FinishReason.LENGTH
    return FinishReason.CONTENT_FILTER if word in FILTERED else FinishReason.MODEL_FAULT


def check(response: ChatResponse, chunks: list[dict[str, Any]]) -> None:
    """``chunks``: every chunk of a stream, or the one whole answer."""
    candidates = [candidate for chunk in chunks for candidate in chunk.get("candidates") or []]
    indices = {
        candidate.get("index", 0) for candidate in candidates if candidate.get("content", {}).get("parts") or candidate.get("finishReason")
    }
    assert {choice.index for choice in response.choices} == indices
    for choice in response.choices:
        mine = [candidate for candidate in candidates if candidate.get("index", 0) == choice.index]
        parts = [part for candidate in mine for part in candidate.get("content", {}).get("parts") or []]
        assert choice.text == "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
        assert choice.thinking == "".join(part["text"] for part in parts if "text" in part and part.get("thought"))
        calls = [part for part in parts if "functionCall" in part]
        assert [(call.name, json.loads(call.arguments)) for call in choice.tool_calls] == [
            (part["functionCall"]["name"], part["functionCall"].get("args") or {}) for part in calls
        ]
        assert [call.signature for call in choice.tool_calls] == [part.get("thoughtSignature") for part in calls]
        given = [part["functionCall"].get("id") for part in calls]
        assert all(call.id == (said or call.id) for call, said in zip(choice.tool_calls, given, strict=True))
        assert len({call.id for call in choice.tool_calls}) == len(calls)
        images = [part["inlineData"]["data"] for part in parts if "inlineData" in part]
        assert [part.data for part in choice.parts if isinstance(part, Image)] == images
        others = [part for part in parts if not part.keys() & {"text", "functionCall", "inlineData", "thoughtSignature"}]
        assert len([part for part in choice.parts if isinstance(part, Opaque)]) >= len(others)
        words = [candidate["finishReason"] for candidate in mine if candidate.get("finishReason")]
        assert choice.finish == (expected_finish(words[-1], bool(calls)) if words else None)
    check_usage(response, chunks)


def check_usage(response: ChatResponse, chunks: list[dict[str, Any]]) -> None:
    blocks = [chunk["usageMetadata"] for chunk in chunks if chunk.get("usageMetadata", {}).get("promptTokenCount") is not None]
    if not blocks:
        return
    last, found = blocks[-1], response.usage
    assert found is not None
    cached = max(block.get("cachedContentTokenCount", 0) for block in blocks)
    assert found.prompt_tokens == last["promptTokenCount"] + last.get("toolUsePromptTokenCount", 0)
    assert (found.cache_read_tokens or 0) == cached
    assert found.completion_tokens == last.get("candidatesTokenCount", 0) + last.get("thoughtsTokenCount", 0)
    assert (found.reasoning_tokens or 0) == last.get("thoughtsTokenCount", 0)


@pytest.mark.parametrize("one", WHOLE, ids=str)
def test_a_whole_answer_reads_as_it_says(one: recorded.Recorded) -> None:
    answer = json.loads(one.body_bytes)
    feedback = answer.get("promptFeedback", {})
    if not answer.get("candidates") and (feedback.get("blockReason") or feedback.get("blockReasonMessage")):
        with pytest.raises(AttemptFailed) as caught:
            WIRE.decode_response(one.body_bytes)
        assert caught.value.failure.kind is FailureClass.CONTENT_FILTER
        assert caught.value.failure.code == feedback.get("blockReason")
        return
    response = WIRE.decode_response(one.body_bytes)
    assert response.model == answer.get("modelVersion", "")
    assert response.id == answer.get("responseId", "")
    check(response, [answer])


@pytest.mark.parametrize("one", STREAMS, ids=str)
def test_a_stream_reads_as_it_says(one: recorded.Recorded) -> None:
    frames, events = stream_of(one.body_bytes)
    assert b"".join(frame.raw for frame in frames) == one.body_bytes
    chunks = naive_chunks(one.body_bytes)
    failed = [event.failure for event in events if isinstance(event, Failed)]
    error = bare_error(one.body_bytes)
    if error:
        assert [failure.status for failure in failed] == [error["code"]]
        assert Done() not in events
    elif not any(chunk.get("candidates") for chunk in chunks):
        assert [failure.kind for failure in failed] == [FailureClass.CONTENT_FILTER]
        assert Done() not in events
    else:
        assert not failed
        finished = any(candidate.get("finishReason") for chunk in chunks for candidate in chunk.get("candidates") or [])
        assert (Done() in events) == finished
        assert not finished or events[-1] == Done()
        check(collect(events), chunks)


@pytest.mark.parametrize("one", STREAMS, ids=str)
def test_a_split_anywhere_changes_nothing(one: recorded.Recorded) -> None:
    whole = stream_of(one.body_bytes)
    for size in (1 if len(one.body_bytes) < 20_000 else 97, 7, 1000):
        assert stream_of(one.body_bytes, size) == whole


@pytest.mark.parametrize("one", ERRORS, ids=str)
def test_an_error_has_its_class(one: recorded.Recorded) -> None:
    error = json.loads(one.body_bytes)["error"]
    failure = WIRE.decode_error(one.status, one.headers, one.body_bytes)
    text = error["message"]
    expected = {
        403: FailureClass.FORBIDDEN,
        404: FailureClass.MODEL_GONE,
        429: FailureClass.RATE_LIMITED,
        500: FailureClass.SERVER_ERROR,
        503: FailureClass.OVERLOADED,
    }.get(one.status, FailureClass.BAD_REQUEST)
    if "API key not valid" in text:
        expected = FailureClass.AUTH
    if "User location" in text:
        expected = FailureClass.FORBIDDEN
    whole = one.body_bytes.decode()
    if re.search(r'"quota_limit_value":\s*"0"', whole):
        expected = FailureClass.QUOTA
    assert failure.kind is expected
    assert failure.status == one.status
    assert failure.code == error["status"]
    delay = re.search(r'"retryDelay":\s*"([0-9.]+)s"', whole)
    if delay:
        assert failure.retry_after_s == float(delay[1])
    assert "AIza" not in failure.message


@pytest.mark.parametrize("one", COUNTS, ids=str)
def test_a_count_reads_as_it_says(one: recorded.Recorded) -> None:
    assert GeminiCounter().decode_response(one.body_bytes) == json.loads(one.body_bytes)["totalTokens"]
    inbound = DIALECT.decode_request(json.dumps(one.request_body).encode(), {"kind": "count_tokens", "model": "m"})
    assert inbound.kind == "count_tokens"
    assert len(inbound.chat().messages) == 1


@pytest.mark.parametrize("one", EMBEDDINGS, ids=str)
def test_embeddings_read_as_they_say(one: recorded.Recorded) -> None:
    said = json.loads(one.body_bytes)
    vectors, usage = embeddings.decode_response(one.body_bytes)
    assert vectors == [item["values"] for item in said["embeddings"]]
    if "usageMetadata" in said:
        assert usage is not None
        assert usage.prompt_tokens == said["usageMetadata"]["promptTokenCount"]


@pytest.mark.parametrize("one", [one for one in WHOLE + STREAMS if one.request_body], ids=str)
def test_a_real_request_decodes_and_encodes_to_the_same_conversation(one: recorded.Recorded) -> None:
    model = one.path.split("/models/")[1].split(":")[0]
    stream = "sse" if "stream" in one.path else ""
    inbound = DIALECT.decode_request(json.dumps(one.request_body).encode(), {"kind": "chat", "model": model, "stream": stream})
    chat = inbound.chat()
    assert inbound.stream == bool(stream)
    encoded = WIRE.encode_request(chat, ModelFacts(upstream_id=model, thinking="level"))
    again = DIALECT.decode_request(json.dumps(encoded).encode(), {"kind": "chat", "model": model, "stream": stream}).chat()
    assert again.tools == chat.tools
    assert "".join(message.text for message in again.messages) == "".join(message.text for message in chat.messages)
    assert again.extras == chat.extras
