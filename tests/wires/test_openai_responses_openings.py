"""Responses streams of hosts that fill an item or a part without opening it: a caller of the same format gets the openings, too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_gateway.core.events import collect
from llm_gateway.wires.openai_responses import WIRE

from . import openai as o

TEXT = {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "hi"}]}
CALL = {"type": "function_call", "id": "f", "call_id": "c", "name": "g", "arguments": "{}", "status": "completed"}
THOUGHT = {"type": "reasoning", "id": "t", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
AT_TEXT = {"output_index": 0, "item_id": "i", "content_index": 0}


def stream(*events: dict[str, Any], number: bool = True) -> bytes:
    response = {"id": "r", "object": "response", "status": "in_progress", "model": "m", "output": []}
    output = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    end = {"type": "response.completed", "response": response | {"status": "completed", "output": output or [TEXT]}}
    whole = [{"type": "response.created", "response": response}, *events, end]
    told = [event | ({"sequence_number": at} if number else {}) for at, event in enumerate(whole)]
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in told)


def shown(body: bytes) -> list[dict[str, Any]]:
    frames = o.frames_of(WIRE, body)
    assert b"".join(frame.raw for frame in frames) == body
    return [one for one in o.data_of(b"".join(frame.shown for frame in frames)) if isinstance(one, dict)]


ADDED = {"type": "response.output_item.added", "output_index": 0, "item": TEXT | {"content": [], "status": "in_progress"}}
PART = {"type": "response.content_part.added", **AT_TEXT, "part": {"type": "output_text", "text": "", "annotations": []}}
DELTA = {"type": "response.output_text.delta", **AT_TEXT, "delta": "hi"}
DONE = {"type": "response.output_item.done", "output_index": 0, "item": TEXT}
REFUSED = {"type": "response.refusal.delta", **AT_TEXT, "delta": "no"}
THINKS = {"type": "response.reasoning_text.delta", "output_index": 0, "item_id": "t", "content_index": 0, "delta": "hm"}


@pytest.mark.parametrize("number", [True, False], ids=["numbered", "no numbers"])
@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        ((DELTA, DELTA), ["output_item.added", "content_part.added", "output_text.delta", "output_text.delta"]),
        ((ADDED, DELTA), ["output_item.added", "content_part.added", "output_text.delta"]),
        ((PART, DELTA), ["output_item.added", "content_part.added", "output_text.delta"]),
        ((REFUSED,), ["output_item.added", "content_part.added", "refusal.delta"]),
        ((DONE,), ["output_item.added", "output_item.done"]),
        ((DONE | {"item": CALL},), ["output_item.added", "output_item.done"]),
        ((THINKS, DONE | {"item": THOUGHT}), ["output_item.added", "reasoning_text.delta", "output_item.done"]),
        ((DELTA, DELTA | {"content_index": 1}), [*["output_item.added"], *["content_part.added", "output_text.delta"] * 2]),
    ],
)
def test_what_was_not_opened_is_opened(events: tuple[dict[str, Any], ...], kinds: list[str], number: bool) -> None:
    told = shown(stream(*events, number=number))
    assert [one["type"].removeprefix("response.") for one in told] == ["created", *kinds, "completed"]
    assert [one.get("sequence_number") for one in told] == (list(range(len(told))) if number else [None] * len(told))
    opened = next(one for one in told if one["type"] == "response.output_item.added")
    assert opened["item"]["status"] == "in_progress"
    assert opened["item"]["type"] in ("message", "function_call", "reasoning")
    assert not opened["item"].get("content")
    assert not opened["item"].get("arguments")


def test_a_call_whose_name_nobody_knows_is_opened_by_its_item_only() -> None:
    delta = {"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "f", "delta": "{}"}
    told = shown(stream(delta, DONE | {"item": CALL}))
    assert [one["type"] for one in told][1:3] == ["response.function_call_arguments.delta", "response.output_item.done"]


def test_an_orderly_stream_passes_byte_for_byte() -> None:
    body = stream(ADDED, PART, DELTA, DONE)
    frames = o.frames_of(WIRE, body)
    assert all(frame.mended is None for frame in frames)


def test_the_official_sdk_reads_the_answer() -> None:
    lib = pytest.importorskip("openai.lib.streaming.responses._responses")
    types = pytest.importorskip("openai.types.responses")
    models = pytest.importorskip("openai._models")
    for events in ((DELTA,), (ADDED, DELTA), (PART, DELTA)):
        state = lib.ResponseStreamState(input_tools=[], text_format=pytest.importorskip("openai").NOT_GIVEN)
        for data in shown(stream(*events)):
            state.handle_event(models.construct_type(type_=types.ResponseStreamEvent, value=data))
        assert state._completed_response.output_text == "hi"


def test_the_meaning_is_the_same() -> None:
    events = [event for frame in o.frames_of(WIRE, stream(DELTA)) for event in frame.events]
    assert collect(events).text == "hi"
