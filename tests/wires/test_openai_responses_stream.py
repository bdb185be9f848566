"""What hosts of the Responses format really stream."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import FinishReason, Text, Thinking, ToolCall
from llm_gateway.core.errors import FailureClass
from llm_gateway.core.events import Done, Failed, collect
from llm_gateway.core.usage import Usage
from llm_gateway.wires import openai_chat, openai_responses

from . import openai as o

CHAT = openai_chat.WIRE
RESPONSES = openai_responses.WIRE


def responses_stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event) + b"\n\n" for event in events)


CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "created_at": 1.0}}
COMPLETED = {"type": "response.completed", "response": {"id": "resp_1", "model": "m", "status": "completed", "output": []}}


@pytest.mark.parametrize(
    "error",
    [
        {
            "type": "error",
            "sequence_number": 2,
            "error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "m", "param": None},
        },
        {"type": "error", "sequence_number": 2, "code": "insufficient_quota", "message": "m", "param": None},
    ],
)
def test_an_error_event_and_the_failed_response_after_it_are_one_failure(error: dict[str, Any]) -> None:
    failed = {
        "type": "response.failed",
        "response": {"id": "resp_1", "status": "failed", "error": {"code": "server_error", "message": "x"}},
    }
    events = o.events_of(RESPONSES, responses_stream(CREATED, error, failed))
    (event,) = [event for event in events if isinstance(event, Failed)]
    assert (event.failure.kind, event.failure.code, event.failure.message) == (FailureClass.QUOTA, "insufficient_quota", "m")
    assert Done() not in events


def test_a_failed_response_alone_is_a_failure() -> None:
    failed = {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "x"}}}
    (event,) = [event for event in o.events_of(RESPONSES, responses_stream(CREATED, failed)) if isinstance(event, Failed)]
    assert event.failure.kind is FailureClass.SERVER_ERROR


def test_a_responses_stream_without_its_last_event_is_not_done() -> None:
    delta = {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": "a"}
    assert Done() not in o.events_of(RESPONSES, responses_stream(CREATED, delta) + b"data: [DONE]\n\n")
    events = o.events_of(RESPONSES, responses_stream(CREATED, delta, COMPLETED) + b"data: [DONE]\n\n")
    assert events[-1] == Done()


def test_unknown_responses_events_mean_nothing() -> None:
    odd = [{"type": "response.compaction.started", "delta": {"x": 1}}, {"type": "keepalive", "sequence_number": 3}]
    assert collect(o.events_of(RESPONSES, responses_stream(CREATED, *odd, COMPLETED))).id == "resp_1"


def test_a_responses_host_that_sends_only_the_final_object_is_read() -> None:
    output = [
        {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "hey"}]},
        {"type": "function_call", "id": "f", "call_id": "a", "name": "f", "arguments": "{}", "namespace": "ns"},
    ]
    done = {"type": "response.completed", "response": COMPLETED["response"] | {"output": output}}
    (choice,) = collect(o.events_of(RESPONSES, responses_stream(done))).choices
    assert choice.parts == (Text(text="hey"), ToolCall(id="a", name="ns__f", arguments="{}"))
    assert choice.finish is FinishReason.TOOL_CALLS


def test_items_without_deltas_are_read_when_they_are_done() -> None:
    item = {"type": "function_call", "id": "f", "call_id": "a", "name": "f", "arguments": ""}
    added = {"type": "response.output_item.added", "output_index": 0, "item": item}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item | {"arguments": "{}"}}
    assert collect(o.events_of(RESPONSES, responses_stream(CREATED, added, done, COMPLETED))).choices[0].tool_calls == (
        ToolCall(id="a", name="f", arguments="{}"),
    )


def test_summary_parts_are_paragraphs_in_a_stream_as_in_the_whole() -> None:
    def event(kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": f"response.{kind}", "item_id": "rs", "output_index": 0} | fields

    item = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "tok"}
    whole = item | {"summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]}
    stream = responses_stream(
        CREATED,
        event("output_item.added", item=item),
        event("reasoning_summary_part.added", summary_index=0, part={}),
        event("reasoning_summary_text.delta", summary_index=0, delta="a"),
        event("reasoning_summary_part.added", summary_index=1, part={}),
        event("reasoning_summary_text.delta", summary_index=1, delta="b"),
        event("output_item.done", item=whole),
        COMPLETED,
    )
    expected = (Thinking(text="a\n\nb", signature="tok", wire="openai_responses", id="rs"),)
    assert collect(o.events_of(RESPONSES, stream)).choices[0].parts == expected
    body = COMPLETED["response"] | {"output": [whole]}
    assert RESPONSES.decode_response(json.dumps(body)).choices[0].parts == expected


def test_searches_are_counted_from_the_providers_own_figure() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    search = {"type": "web_search_call", "id": "w", "action": {"type": "search"}}
    page = {"type": "web_search_call", "id": "v", "action": {"type": "open_page"}}
    body = COMPLETED["response"] | {"output": [search, page], "usage": usage}
    assert RESPONSES.decode_response(json.dumps(body)).usage == Usage(input_tokens=1, output_tokens=1, web_searches=1)
    told = RESPONSES.decode_response(json.dumps(body | {"tool_usage": {"web_search": {"num_requests": 2}}})).usage
    assert told == Usage(input_tokens=1, output_tokens=1, web_searches=2)
