"""Streams and answers of the Messages format, from a provider and to a caller."""

from __future__ import annotations

from typing import Any

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
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from llm_gateway.core.errors import AttemptFailed, FailureClass, Overloaded
from llm_gateway.core.events import (
    Done,
    Event,
    Failed,
    Finish,
    PartAdded,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    UsageReport,
    collect,
    replay,
)
from llm_gateway.core.sse import MAX_EVENT_BYTES, SseDecoder
from llm_gateway.core.usage import Usage
from llm_gateway.wires._base import Reply
from llm_gateway.wires.anthropic_messages import DIALECT, WIRE

REPLY = Reply(request_id="r1", model="m", created=0)


def sse(*documents: dict[str, Any]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (document["type"].encode(), json.dumps(document)) for document in documents)


def start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": usage}}


def block(index: int, **content: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index: int, **content: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": content}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def end(reason: str = "end_turn", **usage: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}, {"type": "message_stop"}


def read(body: bytes) -> list[Event]:
    decoder = WIRE.stream_decoder()
    return [event for frame in decoder.feed(body) + decoder.close() for event in frame.events]


def test_usage_is_cumulative_and_the_split_of_cache_writes_survives() -> None:
    first = start(
        input_tokens=10,
        cache_creation_input_tokens=100,
        cache_read_input_tokens=7,
        cache_creation={"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
        output_tokens=1,
        service_tier="standard",
    )
    last = end(input_tokens=0, cache_creation_input_tokens=100, output_tokens=50, output_tokens_details={"thinking_tokens": 20})
    assert collect(read(sse(first, *last))).usage == Usage(
        input_tokens=10,
        output_tokens=50,
        cache_read_tokens=7,
        cache_write_tokens=60,
        cache_write_1h_tokens=40,
        reasoning_tokens=20,
        service_tier="standard",
    )


def test_a_provider_side_tool_raises_the_input_at_the_end() -> None:
    last = end(input_tokens=900, output_tokens=5, server_tool_use={"web_search_requests": 2})
    used = collect(read(sse(start(input_tokens=10, output_tokens=1), *last))).usage
    assert used == Usage(input_tokens=900, output_tokens=5, web_searches=2)


def test_odd_usage_is_unknown_not_zero() -> None:
    used = collect(read(sse(start(input_tokens="ten", output_tokens=-1), *end(output_tokens=10**12)))).usage
    assert used == Usage()


def test_a_call_without_arguments_has_an_empty_object() -> None:
    body = sse(
        start(),
        block(0, type="tool_use", id="t", name="f", input={}),
        delta(0, type="input_json_delta", partial_json=""),
        stop(0),
        *end("tool_use"),
    )
    events = read(body)
    assert ToolDelta(0, "{}") in events
    assert collect(events).choices[0].tool_calls == (ToolCall(id="t", name="f", arguments="{}"),)


def test_compatible_hosts_may_leave_out_ids_stops_and_the_right_reason() -> None:
    body = sse(start(), block(0, type="tool_use", name="f", input={"a": 1}), *end("end_turn"))
    choice = collect(read(body)).choices[0]
    assert choice.tool_calls == (ToolCall(id="toolu_msg_1_0", name="f", arguments='{"a":1}'),)
    assert (choice.finish, choice.raw_finish) == (FinishReason.TOOL_CALLS, "end_turn")


def test_thinking_and_server_tools() -> None:
    body = sse(
        start(),
        block(0, type="thinking", thinking="", signature=""),
        {"type": "ping"},
        delta(0, type="thinking_delta", thinking="hm"),
        delta(0, type="signature_delta", signature="s1"),
        delta(0, type="signature_delta", signature="s2"),
        stop(0),
        block(1, type="redacted_thinking", data="d"),
        stop(1),
        block(2, type="server_tool_use", id="s", name="web_search", input={}),
        delta(2, type="input_json_delta", partial_json='{"query":'),
        delta(2, type="input_json_delta", partial_json='"x"}'),
        stop(2),
        block(3, type="text", text="so", citations=[]),
        delta(3, type="citations_delta", citation={}),
        delta(3, type="text_delta", text=" it is"),
        stop(3),
        {"type": "brand_new_event", "x": 1},
        *end(),
    )
    assert collect(read(body)).choices[0].parts == (
        Thinking(text="hm", signature="s1s2", wire="anthropic_messages"),
        Thinking(redacted="d", wire="anthropic_messages"),
        Opaque(wire="anthropic_messages", raw={"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}),
        Text(text="so it is"),
    )


def test_an_error_first_or_in_the_middle_ends_the_stream() -> None:
    error = {"type": "error", "error": {"details": None, "type": "overloaded_error", "message": "Overloaded"}}
    for body in (sse(error), sse(start(), block(0, type="text", text="a"), error, *end())):
        events = read(body)
        failed = events[-1]
        assert isinstance(failed, Failed)
        assert (failed.failure.kind, failed.failure.status) == (FailureClass.OVERLOADED, 529)
        assert Done() not in events


def test_a_bare_json_error_instead_of_a_stream() -> None:
    events = read(b'{"type":"error",\n "error":{"type":"api_error","message":"boom"}}')
    assert [event.failure.kind for event in events if isinstance(event, Failed)] == [FailureClass.SERVER_ERROR]


def test_an_unknown_error_inside_a_200_says_so() -> None:
    events = read(b'data: {"error":{"message":"no"}}\n\n')
    assert [event.failure.kind for event in events if isinstance(event, Failed)] == [FailureClass.ERROR_IN_200]


def test_a_broken_known_event_fails_and_a_broken_unknown_one_does_not() -> None:
    assert read(b"event: shiny\ndata: {oops\n\n" + sse(start(), *end()))[-1] == Done()
    events = read(sse(start(), block(0, type="text", text="a")) + b"event: content_block_delta\ndata: {oops\n\n" + sse(*end()))
    assert events[-2] == TextDelta("a")
    assert isinstance(events[-1], Failed)
    assert events[-1].failure.kind is FailureClass.BAD_EVENT


def test_an_endless_event_is_given_up() -> None:
    with pytest.raises(AttemptFailed) as caught:
        WIRE.stream_decoder().feed(b"data: " + b"x" * (MAX_EVENT_BYTES + 1))
    assert caught.value.failure.kind is FailureClass.EVENT_TOO_LARGE


def test_the_first_end_counts() -> None:
    body = sse(start(), *end(), *end("max_tokens"), block(1, type="text", text="late"))
    events = read(body)
    assert events.count(Done()) == 1
    assert events[-1] == Done()


def test_a_last_event_without_blank_line_counts_and_padding_is_no_harm() -> None:
    body = sse(start(), *end()).replace(b'"message_stop"}', b'"message_stop"       }  ').rstrip(b"\n")
    assert read(body)[-1] == Done()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", FailureClass.BAD_JSON),
        (b"", FailureClass.BAD_JSON),
        (b'{"id":"x"}', FailureClass.BAD_JSON),
        (b'{"id":"x","content":[{"type":"text","text":5}]}', FailureClass.BAD_JSON),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', FailureClass.OVERLOADED),
        (b'{"error":"nope"}', FailureClass.ERROR_IN_200),
    ],
)
def test_what_is_no_answer(body: bytes, kind: FailureClass) -> None:
    with pytest.raises(AttemptFailed) as caught:
        WIRE.decode_response(body)
    assert caught.value.failure.kind is kind


def test_a_refusal_explains_itself() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "I cannot."}
    body = json.dumps({"id": "m", "model": "m", "content": [], "stop_reason": "refusal", "stop_details": details, "usage": {}})
    choice = WIRE.decode_response(body).choices[0]
    assert (choice.parts, choice.finish) == ((Refusal(text="I cannot."),), FinishReason.REFUSAL)


def shown(*events: Event, reply: Reply = REPLY) -> list[tuple[str | None, dict[str, Any]]]:
    frames = SseDecoder().feed(DIALECT.stream_encoder(reply).encode(events))
    return [(frame.event, json.loads(frame.data or b"null")) for frame in frames]


def test_the_order_of_events_to_a_caller() -> None:
    found = shown(
        Start("", "upstream"),
        TextDelta("a"),
        TextDelta("b"),
        ToolStart(0, "t1", "f"),
        ToolDelta(0, '{"x"'),
        ToolDelta(0, ":1}"),
        ToolStart(1, "t2", "g"),
        ToolDelta(1, "{}"),
        Finish(FinishReason.TOOL_CALLS, "tool_calls"),
        UsageReport(Usage(input_tokens=5, output_tokens=6)),
        Done(),
    )
    assert all(name == document["type"] for name, document in found)
    assert [(document["type"], document.get("index")) for _, document in found] == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("message_delta", None),
        ("message_stop", None),
    ]
    first, last = found[0][1]["message"], found[-2][1]
    assert (first["id"], first["model"], first["usage"]["input_tokens"]) == ("msg_r1", "m", 0)
    assert last["delta"]["stop_reason"] == "tool_use"
    assert (last["usage"]["input_tokens"], last["usage"]["output_tokens"]) == (5, 6)


def test_usage_known_at_the_start_is_shown_at_the_start() -> None:
    found = shown(Start("id", "m"), UsageReport(Usage(input_tokens=5, output_tokens=1)), TextDelta("x"))
    assert found[0][1]["message"]["usage"]["input_tokens"] == 5


def test_an_error_ends_the_stream_without_its_mark() -> None:
    encoder = DIALECT.stream_encoder(REPLY)
    encoder.encode([Start("id", "m"), TextDelta("x")])
    name, _, data = encoder.error(Overloaded("wait")).partition(b"\n")
    assert name == b"event: error"
    document = json.loads(data.removeprefix(b"data: "))
    assert document["error"]["type"] == "overloaded_error"
    assert document["request_id"] == "r1"
    assert encoder.encode([TextDelta("y"), Done()]) == b""


def test_an_empty_answer_still_has_a_beginning_and_an_end() -> None:
    found = shown(Start("id", "m"), Finish(FinishReason.STOP), Done())
    assert [name for name, _ in found] == ["message_start", "message_delta", "message_stop"]


def test_a_caller_who_did_not_ask_sees_no_thinking() -> None:
    def asked(reasoning: Reasoning | None) -> Reply:
        chat = ChatRequest(model="m", messages=(Message(role="user", parts=()),), reasoning=reasoning, origin="anthropic_messages")
        return Reply(request_id="r", model="m", created=0, chat=chat)

    events = (Start("id", "m"), ThinkingDelta("hm"), TextDelta("x"), Finish(FinishReason.STOP), Done())
    quiet, told = shown(*events, reply=asked(None)), shown(*events, reply=asked(Reasoning(budget=-1)))
    assert [document["content_block"]["type"] for name, document in quiet if name == "content_block_start"] == ["text"]
    assert [document["content_block"]["type"] for name, document in told if name == "content_block_start"] == ["thinking", "text"]
    response = collect(events)
    assert [part["type"] for part in json.loads(DIALECT.encode_response(response, asked(None)))["content"]] == ["text"]
    assert len(json.loads(DIALECT.encode_response(response, asked(Reasoning(effort="low"))))["content"]) == 2


def test_parts_the_format_has_no_block_for_are_left_out() -> None:
    parts: tuple[Part, ...] = (Text(text="x"), Image(data="AAAA"), Opaque(wire="gemini_generate", raw={"a": 1}))
    response = ChatResponse(id="i", model="m", choices=(Choice(parts=parts, finish=FinishReason.STOP),))
    assert len(json.loads(DIALECT.encode_response(response, REPLY))["content"]) == 1
    assert len([name for name, _ in shown(*replay(response)) if name == "content_block_start"]) == 1
    assert [name for name, _ in shown(PartAdded(Image(data="AAAA")))] == []


@pytest.mark.parametrize(
    ("finish", "raw", "word"),
    [
        (FinishReason.STOP, "stop", "end_turn"),
        (FinishReason.LENGTH, "length", "max_tokens"),
        (FinishReason.LENGTH, "model_context_window_exceeded", "model_context_window_exceeded"),
        (FinishReason.TOOL_CALLS, "tool_calls", "tool_use"),
        (FinishReason.CONTENT_FILTER, "content_filter", "refusal"),
        (FinishReason.MODEL_FAULT, "OTHER", "max_tokens"),
        (FinishReason.PAUSE, None, "pause_turn"),
    ],
)
def test_stop_reasons_to_a_caller(finish: FinishReason, raw: str | None, word: str) -> None:
    response = ChatResponse(choices=(Choice(finish=finish, raw_finish=raw),))
    assert json.loads(DIALECT.encode_response(response, REPLY))["stop_reason"] == word


def test_a_refusal_in_words_is_an_explanation() -> None:
    response = ChatResponse(choices=(Choice(parts=(Refusal(text="no"),), finish=FinishReason.STOP),))
    found = json.loads(DIALECT.encode_response(response, REPLY))
    assert (found["stop_reason"], found["stop_details"]["explanation"]) == ("refusal", "no")
