"""Real traffic of the Messages format means what a naive reading of it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_gateway.core.chat import ChatResponse, FinishReason, Opaque, ToolCall
from llm_gateway.core.errors import AttemptFailed, FailureClass
from llm_gateway.core.events import Done, Event, Failed, Frame, collect
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires.anthropic_messages import DIALECT, WIRE
from llm_gateway.wires.anthropic_messages.wire import MessagesCounter

from . import recorded

pytestmark = recorded.mark

WHOLE = recorded.load("anthropic", "messages") + recorded.load("openai-compatible", "messages")
STREAMS = recorded.load("anthropic", "messages-stream") + recorded.load("openai-compatible", "messages-stream")
ERRORS = recorded.load("anthropic", "error")
COUNTS = recorded.load("anthropic", "count-tokens")
FINISH = {
    "end_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSE,
    "refusal": FinishReason.REFUSAL,
}
ERROR_CLASS = {
    "rate_limit_error": FailureClass.RATE_LIMITED,
    "overloaded_error": FailureClass.OVERLOADED,
    "api_error": FailureClass.SERVER_ERROR,
    "authentication_error": FailureClass.AUTH,
    "not_found_error": FailureClass.MODEL_GONE,
}
OWN_BLOCKS = ("text", "thinking", "redacted_thinking", "tool_use")


def stream_of(body: bytes, size: int = 0) -> tuple[list[Frame], list[Event]]:
    decoder = WIRE.stream_decoder()
    pieces = [body[at : at + size] for at in range(0, len(body), size)] if size else [body]
    frames = [frame for piece in pieces for frame in decoder.feed(piece)] + decoder.close()
    return frames, [event for frame in frames for event in frame.events]


def naive_events(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[5:]) for line in body.decode().splitlines() if line.startswith("data:")]


def naive_message(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a stream adds up to."""
    message: dict[str, Any] = {"content": [], "stop_reason": None, "usage": {}}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message |= event["message"]
                message["content"] = []
                message["usage"] = dict(event["message"].get("usage") or {})
            case "content_block_start":
                blocks[event["index"]] = dict(event["content_block"], json="")
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "input_json_delta":
                        block["json"] += delta["partial_json"]
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= {name: value for name, value in event["usage"].items() if value is not None}
    for block in blocks.values():
        if block["json"]:
            block["input"] = json.loads(block["json"])
    message["content"] = list(blocks.values())
    return message


def check(response: ChatResponse, message: dict[str, Any], *, whole: bool) -> None:
    content = message["content"]
    choice = response.choices[0]
    assert response.id == message["id"]
    assert response.model == message["model"]
    assert choice.text == "".join(block["text"] for block in content if block["type"] == "text")
    assert choice.thinking == "".join(block["thinking"] for block in content if block["type"] == "thinking")
    calls = [block for block in content if block["type"] == "tool_use"]
    assert [(call.id, call.name, json.loads(call.arguments)) for call in choice.tool_calls] == [
        (block["id"], block["name"], block["input"]) for block in calls
    ]
    others = [block["type"] for block in content if block["type"] not in OWN_BLOCKS]
    assert [part.raw["type"] for part in choice.parts if isinstance(part, Opaque)] == others
    if message["stop_reason"] is None:
        assert choice.finish is None
    elif calls and message["stop_reason"] == "end_turn":
        assert choice.finish is FinishReason.TOOL_CALLS
    else:
        assert choice.finish is FINISH[message["stop_reason"]]
    assert choice.raw_finish == message["stop_reason"]
    assert choice.stop_sequence == message.get("stop_sequence")
    check_usage(response, message["usage"])


def check_usage(response: ChatResponse, usage: dict[str, Any]) -> None:
    found = response.usage
    assert found is not None
    assert found.input_tokens == usage.get("input_tokens")
    assert found.output_tokens == usage.get("output_tokens")
    assert found.cache_read_tokens == usage.get("cache_read_input_tokens")
    if (wrote := usage.get("cache_creation_input_tokens")) is not None:
        assert (found.cache_write_tokens or 0) + (found.cache_write_1h_tokens or 0) == wrote
    assert found.reasoning_tokens == (usage.get("output_tokens_details") or {}).get("thinking_tokens")
    assert found.web_searches == (usage.get("server_tool_use") or {}).get("web_search_requests")
    assert found.service_tier == usage.get("service_tier")


@pytest.mark.parametrize("one", WHOLE, ids=str)
def test_a_whole_answer_reads_as_it_says(one: recorded.Recorded) -> None:
    message = json.loads(one.body_bytes)
    if message.get("error"):
        with pytest.raises(AttemptFailed):
            WIRE.decode_response(one.body_bytes)
        return
    check(WIRE.decode_response(one.body_bytes), message, whole=True)


@pytest.mark.parametrize("one", STREAMS, ids=str)
def test_a_stream_reads_as_it_says(one: recorded.Recorded) -> None:
    frames, events = stream_of(one.body_bytes)
    assert b"".join(frame.raw for frame in frames) == one.body_bytes
    said = naive_events(one.body_bytes)
    failed = [event for event in events if isinstance(event, Failed)]
    errors = [event["error"] for event in said if event["type"] == "error"]
    assert [event.failure.kind for event in failed] == [ERROR_CLASS[error["type"]] for error in errors]
    assert (Done() in events) == any(event["type"] == "message_stop" for event in said)
    if not errors:
        check(collect(events), naive_message(said), whole=False)


@pytest.mark.parametrize("one", STREAMS, ids=str)
def test_a_split_anywhere_changes_nothing(one: recorded.Recorded) -> None:
    whole = stream_of(one.body_bytes)
    for size in (1, 7, 1000):
        assert stream_of(one.body_bytes, size) == whole


@pytest.mark.parametrize("one", STREAMS, ids=str)
def test_unary_reading_of_what_a_stream_adds_up_to_is_the_same(one: recorded.Recorded) -> None:
    said = naive_events(one.body_bytes)
    if error := next((event for event in said if event["type"] == "error"), None):
        # Unstreamed, the same error is the whole answer.
        with pytest.raises(AttemptFailed) as caught:
            WIRE.decode_response(json.dumps(error).encode())
        (failed,) = [event for event in stream_of(one.body_bytes)[1] if isinstance(event, Failed)]
        assert caught.value.failure == failed.failure
        return
    message = naive_message(said)
    content = [{name: value for name, value in block.items() if name != "json"} for block in message["content"]]
    whole = WIRE.decode_response(json.dumps(message | {"type": "message", "content": content}).encode())
    streamed = collect(stream_of(one.body_bytes)[1])

    def plain(response: ChatResponse) -> Any:
        return [
            [(part.id, part.name, json.loads(part.arguments)) if isinstance(part, ToolCall) else part for part in choice.parts]
            for choice in response.choices
        ]

    assert plain(streamed) == plain(whole)
    assert streamed.usage == whole.usage


@pytest.mark.parametrize("one", ERRORS, ids=str)
def test_an_error_has_its_class(one: recorded.Recorded) -> None:
    error = json.loads(one.body_bytes)["error"]
    failure = WIRE.decode_error(one.status, one.headers, one.body_bytes)
    expected = ERROR_CLASS.get(error["type"])
    if one.status == 400:
        text = error["message"]
        expected = (
            FailureClass.QUOTA
            if "credit balance" in text
            else FailureClass.CONTEXT_LENGTH
            if "prompt is too long" in text
            else FailureClass.UNSUPPORTED_PARAMETER
            if "does not support" in text
            else FailureClass.BAD_REQUEST
        )
    assert failure.kind is expected
    assert failure.status == one.status
    assert failure.code == error["type"]
    assert failure.message
    assert failure.retry_after_s == (float(one.headers["retry-after"]) if "retry-after" in one.headers else failure.retry_after_s)
    assert failure.should_retry == {"true": True, "false": False, None: None}[one.headers.get("x-should-retry")]


@pytest.mark.parametrize("one", COUNTS, ids=str)
def test_a_count_reads_as_it_says(one: recorded.Recorded) -> None:
    assert MessagesCounter().decode_response(one.body_bytes) == json.loads(one.body_bytes)["input_tokens"]


@pytest.mark.parametrize("one", [one for one in WHOLE + STREAMS + COUNTS if one.request_body], ids=str)
def test_a_real_request_decodes_and_encodes_to_the_same_conversation(one: recorded.Recorded) -> None:
    kind = "count_tokens" if one.kind == "count-tokens" else "chat"
    body = json.dumps(one.request_body).encode()
    inbound = DIALECT.decode_request(body, {"kind": kind})
    chat = inbound.chat()
    assert inbound.model == one.request_body["model"]
    assert inbound.stream == bool(one.request_body.get("stream"))
    assert len(chat.messages) == len(one.request_body["messages"]) + bool(one.request_body.get("system"))
    facts = ModelFacts(upstream_id=chat.model, thinking="budget", max_output_tokens=100_000, default_max_tokens=50_000)
    encoded = WIRE.encode_request(chat, facts)
    again = DIALECT.decode_request(json.dumps(encoded).encode(), {"kind": "chat"}).chat()
    assert [message.text for message in again.messages] == [message.text for message in chat.messages]
    assert again.tools == chat.tools
    assert again.tool_choice == chat.tool_choice or not chat.tools
