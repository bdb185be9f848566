"""All that happens to an answer on its way back, at once: mixed calls, renamed and free-text tools, one call only, breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_gateway.core.chat import ChatRequest, FinishReason, Message, Text, Tool
from llm_gateway.core.errors import InternalError
from llm_gateway.core.events import Done, Event, Finish, TextDelta, ToolDelta, ToolStart, collect
from llm_gateway.wires import Reply, WayBack, dialects, limits, wires
from llm_gateway.wires._limits import fitting_name

from . import openai as o

LONG = "mcp__enterprise-database-management__synchronize-all-customer-data-across-multiple-systems"
FITTED = fitting_name(LONG, limits.get("openai_chat"))
PATCH = '{"input": "*** p"}'
FINISH = Finish(FinishReason.TOOL_CALLS, "tool_calls")
MIXED: list[Event] = [
    TextDelta("hello"), ToolStart(0, "a", FITTED), ToolStart(1, "b", "patch"), ToolDelta(0, '{"x"'), ToolDelta(1, PATCH[:6]),
    ToolDelta(0, ":1}"), ToolDelta(1, PATCH[6:]), TextDelta("more"), ToolStart(2, "c", "g"), ToolDelta(2, "{}"),
]  # fmt: skip


def asked(**more: Any) -> ChatRequest:
    tools = (Tool(name=LONG, parameters={"type": "object"}), Tool(name="patch", custom=True), Tool(name="g", parameters={"type": "object"}))
    return ChatRequest(
        model="m", messages=(Message(role="user", parts=(Text(text="x"),)),), tools=tools, origin="anthropic_messages", **more
    )


def back(wire: str = "openai_chat", stops: tuple[str, ...] = (), **more: Any) -> WayBack:
    return WayBack(asked(**more), wires.get(wire), "issuer", stops)


def one_by_one(way: WayBack, events: list[Event]) -> list[Event]:
    return [told for event in events for told in way.events([event])]


@pytest.mark.parametrize("stops", [(), ("END",)])
@pytest.mark.parametrize("wire", ["openai_chat", "gemini_generate", "openai_responses"])
def test_every_call_is_told_in_one_piece_under_its_own_name(wire: str, stops: tuple[str, ...]) -> None:
    events = one_by_one(back(wire, stops), [*MIXED, FINISH, Done()])
    open_call = -1
    for event in events:
        if isinstance(event, ToolStart):
            open_call = event.index
        elif isinstance(event, ToolDelta):
            assert event.index == open_call
        else:
            open_call = -1
    calls = collect(events).choices[0].tool_calls
    assert [(call.name, call.arguments, call.custom) for call in calls] == [
        (LONG, '{"x":1}', False), ("patch", "*** p", True), ("g", "{}", False),
    ]  # fmt: skip
    assert collect(events).choices[0].text == "hellomore"


def test_a_messages_caller_gets_every_block_filled_before_it_is_closed() -> None:
    encoder = dialects.get("anthropic_messages").stream_encoder(Reply(request_id="r", model="m", created=1, chat=asked()))
    blocks: dict[int, str] = {}
    open_block: int | None = None
    for data in o.data_of(encoder.encode(one_by_one(back(), [*MIXED, FINISH, Done()]))):
        assert isinstance(data, dict)
        if data["type"] == "content_block_start":
            assert open_block is None
            open_block, blocks[data["index"]] = data["index"], ""
        elif data["type"] == "content_block_delta":
            assert data["index"] == open_block
            blocks[open_block] += data["delta"].get("partial_json") or data["delta"].get("text", "")
        elif data["type"] == "content_block_stop":
            assert data["index"] == open_block
            open_block = None
    assert list(blocks.values()) == ["hello", '{"x":1}', json.dumps({"input": "*** p"}, separators=(",", ":")), "more", "{}"]


def test_one_call_only_is_the_first_and_the_text_stays() -> None:
    events = one_by_one(back("gemini_generate", parallel_tool_calls=False), [*MIXED, FINISH, Done()])
    (choice,) = collect(events).choices
    assert [call.name for call in choice.tool_calls] == [LONG]
    assert choice.text == "hellomore"


def test_answers_side_by_side_keep_their_free_text_apart() -> None:
    events: list[Event] = [
        ToolStart(0, "b", "patch", choice=1), ToolDelta(0, PATCH[:12], 1), ToolStart(0, "a", FITTED, choice=0), ToolDelta(0, "{}", 0),
        ToolDelta(0, PATCH[12:], 1), Finish(FinishReason.TOOL_CALLS, choice=0), Finish(FinishReason.TOOL_CALLS, choice=1), Done(),
    ]  # fmt: skip
    first, second = sorted(collect(one_by_one(back(), events)).choices, key=lambda choice: choice.index)
    assert [call.arguments for call in first.tool_calls] == ["{}"]
    assert [call.arguments for call in second.tool_calls] == ["*** p"]


@pytest.mark.parametrize(("arguments", "told"), [(PATCH, "*** p"), (PATCH[:-2], "")])
def test_a_break_tells_the_free_text_that_was_whole_and_no_half_of_one(arguments: str, told: str) -> None:
    way = back()
    events = one_by_one(way, [ToolStart(0, "b", "patch"), ToolDelta(0, arguments)])
    events += way.rest()
    assert [call.arguments for call in collect(events).choices[0].tool_calls] == [told]
    for dialect in ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"):
        encoder = dialects.get(dialect).stream_encoder(Reply(request_id="r", model="m", created=1, chat=asked()))
        stream = encoder.encode(events) + encoder.error(InternalError("broken"))
        assert b"broken" in stream
        assert b"[DONE]" not in stream
        assert b"response.completed" not in stream
        assert b"message_stop" not in stream
