"""Hosts of the Responses format tell an item in deltas, when it is done and in the final object, and leave any of the three out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import FinishReason, Refusal, Text, Thinking, ToolCall
from llm_gateway.core.events import Event, collect
from llm_gateway.wires import Reply, dialects, openai_responses, wires
from llm_gateway.wires._base import Dialect

RESPONSES = openai_responses.WIRE
CALLERS = ("anthropic_messages", "gemini_generate", "openai_chat", "openai_responses")
CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "created_at": 1}}
AT = {"item_id": "i", "output_index": 0}
CALL = {"type": "function_call", "id": "i", "call_id": "a", "name": "f", "arguments": '{"p":"x"}'}
CUSTOM = {"type": "custom_tool_call", "id": "i", "call_id": "a", "name": "f", "input": "patch"}
SAYS = {"type": "message", "id": "i", "role": "assistant", "content": [{"type": "output_text", "text": "hey you", "annotations": []}]}
REFUSES = {"type": "message", "id": "i", "role": "assistant", "content": [{"type": "refusal", "refusal": "hey you"}]}
THINKS = {"type": "reasoning", "id": "i", "summary": [{"type": "summary_text", "text": "hey you"}], "encrypted_content": "tok"}
RAW = {"type": "reasoning", "id": "i", "summary": [], "content": [{"type": "reasoning_text", "text": "hey you"}]}
ITEMS: dict[str, dict[str, Any]] = {"call": CALL, "custom": CUSTOM, "text": SAYS, "refusal": REFUSES, "thoughts": THINKS, "raw": RAW}
EMPTY = {"call": {"arguments": ""}, "custom": {"input": ""}, "text": {"content": []}, "refusal": {"content": []}}
DELTAS: dict[str, tuple[str, dict[str, Any], str]] = {
    "call": ("response.function_call_arguments", {}, "arguments"),
    "custom": ("response.custom_tool_call_input", {}, "input"),
    "text": ("response.output_text", {"content_index": 0}, "text"),
    "refusal": ("response.refusal", {"content_index": 0}, "refusal"),
    "thoughts": ("response.reasoning_summary_text", {"summary_index": 0}, "text"),
    "raw": ("response.reasoning_text", {"content_index": 0}, "text"),
}
WHOLE = {"call": '{"p":"x"}', "custom": "patch"}


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event) + b"\n\n" for event in events)


def frames_of(body: bytes) -> list[Any]:
    decoder = RESPONSES.stream_decoder()
    return [*decoder.feed(body), *decoder.close()]


def told(kind: str, sources: tuple[str, ...]) -> bytes:
    """One item's stream, from only these of its sources."""
    item, (stem, at, field) = ITEMS[kind], DELTAS[kind]
    whole = WHOLE.get(kind, "hey you")
    events: list[dict[str, Any]] = [CREATED]
    if "added" in sources:
        events.append(
            {"type": "response.output_item.added", "output_index": 0, "item": item | EMPTY.get(kind, {"summary": [], "content": []})}
        )
    if "deltas" in sources:
        events += [{"type": f"{stem}.delta", **AT, **at, "delta": piece} for piece in (whole[:3], whole[3:])]
    if "some" in sources:
        events.append({"type": f"{stem}.delta", **AT, **at, "delta": whole[:3]})
    if "done" in sources:
        events.append({"type": f"{stem}.done", **AT, **at, field: whole})
    if "item" in sources:
        events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    output = [item] if "final" in sources else []
    events.append({"type": "response.completed", "response": {"id": "resp_1", "model": "m", "status": "completed", "output": output}})
    return stream(*events)


EXPECTED: dict[str, Any] = {
    "call": ToolCall(id="a", name="f", arguments='{"p":"x"}'),
    "custom": ToolCall(id="a", name="f", arguments="patch", custom=True),
    "text": Text(text="hey you"),
    "refusal": Refusal(text="hey you"),
    "thoughts": Thinking(text="hey you", wire="openai_responses", id="i", signature="tok"),
    "raw": Thinking(text="hey you", wire="openai_responses", id="i"),
}
# Calls have their name in the item only.
SOURCES = [
    ("added", "deltas", "done", "item", "final"),
    ("added", "done"),
    ("added", "done", "final"),
    ("added", "some", "done"),
    ("added", "some", "item"),
    ("added", "some", "final"),
    ("added", "item"),
    ("added", "final"),
    ("item",),
    ("final",),
    ("deltas", "item"),
    ("deltas", "final"),
    ("some", "done", "item"),
    ("some", "final"),
    ("done", "final"),
    ("deltas", "done", "item", "final"),
]


@pytest.mark.parametrize("kind", ITEMS)
@pytest.mark.parametrize("sources", SOURCES, ids="+".join)
def test_what_one_source_leaves_out_another_tells(kind: str, sources: tuple[str, ...]) -> None:
    events = [event for frame in frames_of(told(kind, sources)) for event in frame.events]
    (choice,) = collect(events).choices
    (part,) = choice.parts
    expected = EXPECTED[kind]
    if kind == "thoughts" and not {"item", "final"} & set(sources):
        expected = Thinking(text="hey you", wire="openai_responses", id="i")  # the token is in the item only
    assert part == expected
    if kind in ("call", "custom"):
        assert choice.finish is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("caller", "sources"), list(product(CALLERS, [("added", "done"), ("added", "final"), ("final",), ("deltas", "item")]))
)
def test_every_caller_gets_the_arguments_whatever_told_them(caller: str, sources: tuple[str, ...]) -> None:
    dialect: Dialect = dialects.get(caller)
    events: list[Event] = [event for frame in frames_of(told("call", sources)) for event in frame.events]
    encoder = dialect.stream_encoder(Reply(request_id="req", model="m", created=1, include_usage=True))
    again = wires.get(caller).stream_decoder()
    written = encoder.encode(events)
    heard = collect(event for frame in [*again.feed(written), *again.close()] for event in frame.events)
    ((call,), finish) = heard.choices[0].tool_calls, heard.choices[0].finish
    assert (call.name, json.loads(call.arguments.encode()), finish) == ("f", {"p": "x"}, FinishReason.TOOL_CALLS)


def test_items_are_known_again_by_id_by_call_or_by_their_order() -> None:
    """vLLM makes new ids for the final object; Copilot makes new ones for every event."""
    events: list[dict[str, Any]] = [CREATED]
    for place, name in enumerate("fg"):
        item = CALL | {"id": f"one{place}", "call_id": f"c{place}", "name": name, "arguments": ""}
        events.append({"type": "response.output_item.added", "output_index": place, "item": item})
        delta = {"type": "response.function_call_arguments.delta", "item_id": f"two{place}", "output_index": place, "delta": "{}"}
        events.append(delta)
    output = [CALL | {"id": f"three{place}", "call_id": f"c{place}", "name": name, "arguments": "{}"} for place, name in enumerate("fg")]
    message = SAYS | {"id": "four"}
    end = {"type": "response.completed", "response": {"id": "r", "model": "m", "status": "completed", "output": [*output, message]}}
    choice = collect(event for frame in frames_of(stream(*events, end)) for event in frame.events).choices[0]
    assert [(call.id, call.name, call.arguments) for call in choice.tool_calls] == [("c0", "f", "{}"), ("c1", "g", "{}")]
    assert choice.text == "hey you"


def test_a_host_that_gives_every_item_the_same_place_is_understood() -> None:
    events: list[dict[str, Any]] = [CREATED]
    for name in "ab":
        item = SAYS | {"id": name}
        events.append({"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}})
        events.append({"type": "response.output_text.delta", "item_id": name, "output_index": 0, "content_index": 0, "delta": f"{name}!"})
        events.append(
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": item | {"content": [{"type": "output_text", "text": f"{name}!"}]},
            }
        )
    end = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}}
    assert collect(event for frame in frames_of(stream(*events, end)) for event in frame.events).choices[0].text == "a!b!"


def test_text_that_is_worded_otherwise_afterwards_is_told_once() -> None:
    delta = {"type": "response.output_text.delta", **AT, "content_index": 0, "delta": " hey "}
    done = {"type": "response.output_item.done", "output_index": 0, "item": SAYS}
    end = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [SAYS]}}
    assert collect(event for frame in frames_of(stream(CREATED, delta, done, end)) for event in frame.events).choices[0].text == " hey "


@pytest.mark.parametrize("details", [None, {"reason": "max_output_tokens"}])
def test_an_incomplete_end_says_so_without_a_status(details: dict[str, str] | None) -> None:
    end = {"type": "response.incomplete", "response": {"id": "r", "output": [SAYS], "incomplete_details": details}}
    finish = collect(event for frame in frames_of(stream(CREATED, end)) for event in frame.events).choices[0].finish
    assert finish is (FinishReason.LENGTH if details else FinishReason.MODEL_FAULT)


# On the same wire.


def final_of(body: bytes) -> dict[str, Any]:
    last = b"".join(frame.shown for frame in frames_of(body)).rsplit(b"data: ", 1)[1]
    return dict(json.loads(last)["response"])


@pytest.mark.parametrize("kind", ["call", "custom", "text", "thoughts"])
def test_a_final_object_without_its_items_is_mended_on_its_way_to_a_caller_of_the_same_format(kind: str) -> None:
    (item,) = final_of(told(kind, ("added", "deltas", "done", "item")))["output"]
    assert item == ITEMS[kind]


def test_arguments_that_only_the_stream_told_are_put_into_the_final_object() -> None:
    bare = CALL | {"arguments": ""}
    body = told("call", ("added", "deltas", "item")).replace(json.dumps(CALL), json.dumps(bare))
    assert final_of(body)["output"] == [CALL]


@pytest.mark.parametrize("sources", [("added", "deltas", "done", "item", "final"), ("final",)])
@pytest.mark.parametrize("kind", ITEMS)
def test_a_stream_that_keeps_to_its_format_is_not_touched(kind: str, sources: tuple[str, ...]) -> None:
    body = told(kind, sources)
    assert b"".join(frame.shown for frame in frames_of(body)) == body


# Characters in two pieces.


def _halves(first: bytes, second: bytes) -> bytes:
    head = b'data: {"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"'
    end = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [], "model": "m"}}
    return head + first + b'"}\n\n' + head + second + b'"}\n\n' + stream(end)


SMILE = "😀".encode()
PIECES: dict[str, Callable[[], tuple[bytes, bytes, str]]] = {
    "surrogates": lambda: (rb"a\ud83d", rb"\ude00b", "a😀b"),
    "capitals": lambda: (rb"a\uD83D", rb"\uDE00b", "a😀b"),
    "bytes": lambda: (b"a" + SMILE[:2], SMILE[2:] + b"b", "a😀b"),
    "two bytes": lambda: (b"a\xc3", b"\xa9b", "aéb"),
    "alone": lambda: (rb"a\ud83d", b"b", "a\ufffdb"),
    "whole": lambda: (rb"a\ud83d\ude00", "é".encode(), "a😀é"),
    "escaped": lambda: (rb"a\\ud83d", rb"\\ude00", r"a\ud83d\ude00"),
}


@pytest.mark.parametrize("kind", PIECES)
def test_a_character_in_two_deltas_arrives_as_one(kind: str) -> None:
    first, second, expected = PIECES[kind]()
    frames = frames_of(_halves(first, second))
    assert collect(event for frame in frames for event in frame.events).choices[0].text == expected
    assert b"".join(frame.raw for frame in frames) == _halves(first, second)
