"""Responses streams whose host left the last event out: complete when [DONE] follows and every item says so, broken off otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_gateway.core.chat import FinishReason
from llm_gateway.core.events import Done, collect
from llm_gateway.wires.openai_responses import WIRE

from . import openai as o

CREATED = {"type": "response.created", "response": {"id": "r", "object": "response", "status": "in_progress", "model": "m", "output": []}}
THOUGHT = {"type": "reasoning", "id": "t", "summary": []}
TEXT = {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "hi"}]}
CALL = {"type": "function_call", "id": "f", "call_id": "c", "name": "g", "arguments": "{}", "status": "completed"}
DONE = b"data: [DONE]\n\n"


def added(item: dict[str, Any], at: int = 0) -> dict[str, Any]:
    opening = {"content": []} if item["type"] == "message" else {"arguments": ""} if item["type"] == "function_call" else {}
    return {"type": "response.output_item.added", "output_index": at, "item": item | opening | {"status": "in_progress"}}


def done(item: dict[str, Any], at: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": at, "item": item}


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in (CREATED, *events))


@pytest.mark.parametrize(
    ("items", "finish"),
    [((TEXT,), FinishReason.STOP), ((CALL,), FinishReason.TOOL_CALLS), ((THOUGHT, TEXT, CALL), FinishReason.TOOL_CALLS)],
)
def test_a_stream_whose_every_item_is_complete_is_complete(items: tuple[dict[str, Any], ...], finish: FinishReason) -> None:
    body = stream(*(event for at, item in enumerate(items) for event in (added(item, at), done(item, at)))) + DONE
    frames = o.frames_of(WIRE, body)
    events = [event for frame in frames for event in frame.events]
    assert events[-1] == Done()
    assert events.count(Done()) == 1
    assert collect(events).choices[0].finish is finish
    # A caller of the same format reads the answer from the last event.
    shown = b"".join(frame.shown for frame in frames)
    assert shown.startswith(body.removesuffix(DONE))
    (end,) = [one for one in o.data_of(shown) if isinstance(one, dict) and one["type"] == "response.completed"]
    assert (end["response"]["id"], end["response"]["status"]) == ("r", "completed")
    assert [item["type"] for item in end["response"]["output"]] == [item["type"] for item in items]


@pytest.mark.parametrize("mark", [b"", DONE])
@pytest.mark.parametrize(
    "events",
    [
        (added(TEXT),),
        (added(TEXT), done(TEXT | {"status": "incomplete"})),
        (added(TEXT), done({name: value for name, value in TEXT.items() if name != "status"})),
        (added(TEXT), done(TEXT), added(CALL, 1)),
        (added(THOUGHT), done(THOUGHT)),
        (),
    ],
)
def test_a_stream_that_may_lack_something_is_broken_off(events: tuple[dict[str, Any], ...], mark: bytes) -> None:
    frames = o.frames_of(WIRE, stream(*events) + mark)
    assert not any(event == Done() for frame in frames for event in frame.events)
    assert b"".join(frame.shown for frame in frames) == stream(*events) + mark


def test_the_end_of_the_connection_ends_no_answer() -> None:
    # A tool call could have followed the completed text.
    body = stream(added(TEXT), done(TEXT))
    frames = o.frames_of(WIRE, body)
    assert not any(event == Done() for frame in frames for event in frame.events)
    assert b"".join(frame.shown for frame in frames) == body


def test_what_comes_after_the_end_means_nothing() -> None:
    end = {"type": "response.completed", "response": CREATED["response"] | {"status": "completed", "output": [TEXT]}}  # type: ignore[operator]  # an object
    late = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "more", "sequence_number": 900}
    events = o.events_of(WIRE, stream(added(TEXT), done(TEXT), end, late) + DONE)
    assert events[-1] == Done()
    assert collect(events).text == "hi"
