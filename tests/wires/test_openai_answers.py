"""Answers to callers of the OpenAI formats, as the official SDK and the agents read them."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, ChatResponse, Choice, FinishReason, Image, Message, Opaque, Refusal, Text, Thinking, ToolCall
from llm_gateway.core.errors import DeadlineExceeded, Failure, FailureClass
from llm_gateway.core.events import (
    Done,
    Event,
    Failed,
    Finish,
    PartAdded,
    Start,
    TextDelta,
    ThinkingDelta,
    ThinkingMark,
    ToolDelta,
    ToolStart,
    UsageReport,
    replay,
)
from llm_gateway.core.usage import Usage
from llm_gateway.wires import openai_chat, openai_responses
from llm_gateway.wires._base import Reply
from llm_gateway.wires._openai.ids import call_id

from . import openai as o

REPLY = Reply(request_id="req", model="served", created=7)
ASKED = Reply(request_id="req", model="served", created=7, include_usage=True)
MADE = call_id("req", 0, 0)
USAGE = Usage(input_tokens=3, output_tokens=2, cache_read_tokens=1, reasoning_tokens=1)


def chat_stream(events: list[Event], reply: Reply = REPLY) -> list[Any]:
    return o.data_of(openai_chat.DIALECT.stream_encoder(reply).encode(events))


def responses_stream(events: list[Event], reply: Reply = REPLY) -> list[Any]:
    return o.data_of(openai_responses.DIALECT.stream_encoder(reply).encode(events))


def deltas(chunks: list[Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk != "[DONE]" and chunk["choices"]]


END: list[Event] = [Finish(FinishReason.STOP, "end_turn"), UsageReport(USAGE), Done()]


def test_the_role_comes_first_and_the_mark_last() -> None:
    chunks = chat_stream([Start("", "other", 5), TextDelta("hey"), *END])
    assert deltas(chunks) == [{"role": "assistant", "content": "", "refusal": None}, {"content": "hey"}, {}]
    assert chunks[-1] == "[DONE]"
    assert {(chunk["id"], chunk["model"], chunk["created"], chunk["object"]) for chunk in chunks[:-1]} == {
        ("chatcmpl-req", "served", 5, "chat.completion.chunk")
    }
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, None, "stop"]
    assert not any("usage" in chunk for chunk in chunks[:-1])


def test_usage_has_a_chunk_of_its_own_where_it_was_asked_for() -> None:
    chunks = chat_stream([Start("id"), TextDelta("hey"), *END], ASKED)
    assert [chunk["usage"] for chunk in chunks[:-2]] == [None, None, None]
    assert chunks[-2]["choices"] == []
    assert chunks[-2]["usage"] == {
        "prompt_tokens": 4,
        "completion_tokens": 2,
        "total_tokens": 6,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert chunks[-1] == "[DONE]"


def test_there_is_no_mark_without_an_end() -> None:
    assert "[DONE]" not in chat_stream([Start("id"), TextDelta("hey"), Finish(FinishReason.STOP)])


def test_thoughts_are_reasoning_content_and_foreign_marks_nothing() -> None:
    chunks = chat_stream([Start("id"), ThinkingDelta("hm"), ThinkingMark("sig", None, "anthropic_messages"), TextDelta("a"), *END])
    assert deltas(chunks)[1:3] == [{"reasoning_content": "hm"}, {"content": "a"}]


def test_calls_open_with_id_and_name_and_an_empty_one_is_an_empty_object() -> None:
    events = [Start("id"), ToolStart(0, "", "f"), ToolStart(1, "b", "g"), ToolDelta(1, "[]"), Finish(FinishReason.TOOL_CALLS), Done()]
    pieces = [delta["tool_calls"][0] for delta in deltas(chat_stream(events)) if "tool_calls" in delta]
    assert pieces == [
        {"index": 0, "id": MADE, "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"index": 1, "function": {"arguments": "[]"}},
    ]


@pytest.mark.parametrize(
    ("reason", "refused", "word"),
    [
        (FinishReason.STOP, False, "stop"),
        (FinishReason.STOP_SEQUENCE, False, "stop"),
        (FinishReason.LENGTH, False, "length"),
        (FinishReason.TOOL_CALLS, False, "tool_calls"),
        (FinishReason.CONTENT_FILTER, False, "content_filter"),
        (FinishReason.REFUSAL, False, "content_filter"),
        (FinishReason.REFUSAL, True, "stop"),
        (FinishReason.PAUSE, False, "stop"),
        (FinishReason.MODEL_FAULT, False, "length"),
    ],
)
def test_finish_reasons_are_openais_words(reason: FinishReason, refused: bool, word: str) -> None:
    parts = (Refusal(text="no"),) if refused else ()
    response = ChatResponse(id="id", choices=(Choice(parts=parts, finish=reason),))
    whole = json.loads(openai_chat.DIALECT.encode_response(response, REPLY))
    assert whole["choices"][0]["finish_reason"] == word
    assert chat_stream(replay(response))[-2]["choices"][0]["finish_reason"] == word


def test_an_error_in_the_middle_is_one_chunk_that_says_so() -> None:
    encoder = openai_chat.DIALECT.stream_encoder(REPLY)
    stream = encoder.encode([Start("id"), TextDelta("hey")]) + encoder.error(DeadlineExceeded("Too late."))
    last: Any = o.data_of(stream)[-1]
    assert last["error"] == {"message": "Too late.", "type": "timeout_error", "param": None, "code": "deadline_exceeded"}
    assert last["choices"][0]["finish_reason"] == "error"


@pytest.mark.parametrize("dialect", [openai_chat.DIALECT, openai_responses.DIALECT])
def test_a_providers_failure_in_the_events_ends_the_stream(dialect: Any) -> None:
    failed = Failed(Failure(kind=FailureClass.OVERLOADED))
    stream = dialect.stream_encoder(REPLY).encode([Start("id"), TextDelta("hey"), failed, TextDelta("never"), Done()])
    assert b"upstream_overloaded" in stream
    assert b"never" not in stream
    assert b"[DONE]" not in stream
    assert b"response.completed" not in stream


def test_a_whole_chat_answer_has_openais_shape() -> None:
    parts = (Thinking(text="hm"), Text(text="a"), Opaque(wire="anthropic_messages", raw={}), ToolCall(id="", name="f", arguments=""))
    response = ChatResponse(id="msg_1", choices=(Choice(parts=parts, finish=FinishReason.TOOL_CALLS),), usage=USAGE)
    assert json.loads(openai_chat.DIALECT.encode_response(response, REPLY)) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 7,
        "model": "served",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "a",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "tool_calls": [{"id": MADE, "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 4,
            "completion_tokens": 2,
            "total_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }


def test_a_signature_on_a_call_comes_back_from_the_caller() -> None:
    call = ToolCall(id="c", name="f", arguments="{}", signature="sig")
    body = json.loads(openai_chat.DIALECT.encode_response(ChatResponse(choices=(Choice(parts=(call,)),)), REPLY))
    request = {"model": "m", "messages": [body["choices"][0]["message"]]}
    assert openai_chat.DIALECT.decode_request(json.dumps(request), {}).chat().messages[0].parts == (call,)


RESPONSE = ChatResponse(
    id="msg_1",
    model="served",
    choices=(
        Choice(
            parts=(
                Thinking(text="hm", signature="sig", wire="anthropic_messages"),
                Thinking(redacted="blob", wire="anthropic_messages"),
                Text(text="I call."),
                ToolCall(id="c", name="mcp__docs__search", arguments='{"q":1}'),
                ToolCall(id="d", name="patch", arguments="*** x", custom=True),
            ),
            finish=FinishReason.TOOL_CALLS,
        ),
    ),
    usage=USAGE,
)
SPACED = [{"type": "namespace", "name": "mcp__docs__", "tools": [{"type": "function", "name": "search", "parameters": {}}]}]


def codex() -> ChatRequest:
    return openai_responses.DIALECT.decode_request(
        json.dumps({"model": "m", "input": "x", "tools": SPACED, "metadata": {"a": "b"}}), {}
    ).chat()


def test_responses_items_come_back_whole_from_the_caller() -> None:
    reply = Reply(request_id="req", model="served", created=7, chat=codex())
    body = json.loads(openai_responses.DIALECT.encode_response(RESPONSE, reply))
    assert [item["type"] for item in body["output"]] == ["reasoning", "reasoning", "message", "function_call", "custom_tool_call"]
    call = body["output"][3]
    assert (call["namespace"], call["name"], call["call_id"], call["status"]) == ("mcp__docs__", "search", "c", "completed")
    assert (body["id"], body["metadata"], body["status"]) == ("resp_req", {"a": "b"}, "completed")
    again = openai_responses.DIALECT.decode_request(json.dumps({"model": "m", "input": body["output"], "tools": SPACED}), {}).chat()
    assert again.messages == (
        Message(
            role="assistant",
            parts=(
                Thinking(text="hm", signature="sig", wire="anthropic_messages", id="rs_cogo_req_0"),
                Thinking(redacted="blob", wire="anthropic_messages", id="rs_cogo_req_1"),
                *RESPONSE.choices[0].parts[2:],
            ),
        ),
    )


def test_a_responses_stream_has_every_event_of_the_protocol() -> None:
    events = responses_stream(replay(RESPONSE), Reply(request_id="req", model="served", created=7, chat=codex()))
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]
    assert events[16]["item"]["namespace"] == "mcp__docs__"
    assert events[-1]["response"]["usage"] == {
        "input_tokens": 4,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 6,
    }


@pytest.mark.parametrize(
    ("reason", "last", "details"),
    [
        (FinishReason.LENGTH, "response.incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTENT_FILTER, "response.incomplete", {"reason": "content_filter"}),
        (FinishReason.REFUSAL, "response.incomplete", {"reason": "content_filter"}),
        (FinishReason.PAUSE, "response.completed", None),
        (FinishReason.MODEL_FAULT, "response.failed", None),
    ],
)
def test_the_last_responses_event_says_how_it_ended(reason: FinishReason, last: str, details: Any) -> None:
    event = responses_stream([Start("id"), TextDelta("a"), Finish(reason), Done()])[-1]
    assert (event["type"], event["response"]["incomplete_details"]) == (last, details)
    assert (event["response"]["error"] is not None) == (last == "response.failed")


def test_only_the_first_of_several_answers_has_a_place_in_responses() -> None:
    events = responses_stream([Start("id"), TextDelta("a"), TextDelta("b", 1), Finish(FinishReason.STOP), Done()])
    assert "".join(event.get("delta", "") for event in events) == "a"


def test_pictures_are_whole_items() -> None:
    events = responses_stream([Start("id"), PartAdded(Image(media_type="image/png", data="AAAA")), Finish(FinishReason.STOP), Done()])
    (item,) = events[-1]["response"]["output"]
    assert (item["type"], item["result"]) == ("image_generation_call", "AAAA")


def test_the_official_sdk_reads_the_chat_stream() -> None:
    lib = pytest.importorskip("openai.lib.streaming.chat._completions")
    types = pytest.importorskip("openai.types.chat")
    state = lib.ChatCompletionStreamState()
    parts = (Text(text="I call."), ToolCall(id="c", name="f", arguments='{"q":1}'), ToolCall(id="d", name="g", arguments="{}"))
    response = ChatResponse(id="id", model="served", choices=(Choice(parts=parts, finish=FinishReason.TOOL_CALLS),), usage=USAGE)
    for data in chat_stream(replay(response), ASKED)[:-1]:
        state.handle_chunk(types.ChatCompletionChunk.model_validate(data))
    whole = state.get_final_completion()
    message = whole.choices[0].message
    assert (message.content, whole.choices[0].finish_reason, whole.usage.total_tokens) == ("I call.", "tool_calls", 6)
    assert [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls] == [
        ("c", "f", '{"q":1}'),
        ("d", "g", "{}"),
    ]


def test_the_official_types_accept_the_whole_answers() -> None:
    chat = pytest.importorskip("openai.types.chat")
    types = pytest.importorskip("openai.types.responses")
    chat.ChatCompletion.model_validate_json(openai_chat.DIALECT.encode_response(RESPONSE, REPLY))
    parsed = types.Response.model_validate_json(openai_responses.DIALECT.encode_response(RESPONSE, REPLY))
    assert parsed.output_text == "I call."
