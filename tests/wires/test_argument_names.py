"""Names of arguments that a wire does not take, in schemas, in calls and in values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.chat import ChatRequest, ChatResponse, Choice, FinishReason, Message, Text, Tool, ToolCall
from llm_gateway.core.events import Done, Event, Finish, TextDelta, ToolDelta, ToolStart, collect
from llm_gateway.wires import WayBack, limits, wires
from llm_gateway.wires._fitting import fit
from llm_gateway.wires._keys import fitted_keys, renamed_arguments, renamed_schema

from . import neutral as n

CLAUDE = limits.get("anthropic_messages")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "filter[id]": {"type": "string", "default": "filter[id]"},
        "ok.name-1": {"type": "object", "properties": {"a b": {"enum": ["a b"]}}, "required": ["a b"]},
        "list": {"type": "array", "items": {"$ref": "#/$defs/a b"}},
        "ü" * 70: {"type": "object", "default": {"filter[id]": 1}},
    },
    "required": ["filter[id]"],
    "dependentRequired": {"filter[id]": ["ok.name-1", "a b"]},
    "$defs": {"a b": {"type": "object", "properties": {"": {"type": "null"}}}},
}


def chat(schema: dict[str, Any] = SCHEMA, **more: Any) -> ChatRequest:
    tools = (Tool(name="f", parameters=schema), Tool(name="g", parameters={"type": "object", "properties": {"plain": {}}}))
    messages = more.pop("messages", (Message(role="user", parts=(Text(text="hi"),)),))
    return ChatRequest(
        model="m",
        messages=messages,
        tools=tools,
        origin="openai_chat",
        **more,
    )


def test_only_what_the_wire_refuses_gets_another_name() -> None:
    names = fitted_keys(SCHEMA, CLAUDE)
    assert set(names) == {"filter[id]", "a b", "ü" * 70, ""}
    assert all(0 < len(name) <= 64 and name.isascii() for name in names.values())
    assert len(set(names.values())) == 4
    assert fitted_keys(SCHEMA, limits.get("openai_chat")) == {}
    assert fitted_keys({"type": "object", "enum": [{"properties": {"a b": 1}}]}, CLAUDE) == {}


def test_a_schema_names_its_arguments_alike_everywhere() -> None:
    names = fitted_keys(SCHEMA, CLAUDE)
    found = renamed_schema(SCHEMA, names)
    assert set(found["properties"]) == {names["filter[id]"], "ok.name-1", "list", names["ü" * 70]}
    assert found["required"] == [names["filter[id]"]]
    assert found["dependentRequired"] == {names["filter[id]"]: ["ok.name-1", names["a b"]]}
    inner = found["properties"]["ok.name-1"]
    assert (set(inner["properties"]), inner["required"]) == ({names["a b"]}, [names["a b"]])
    assert inner["properties"][names["a b"]] == {"enum": ["a b"]}, "a value is no name"
    assert found["properties"][names["filter[id]"]]["default"] == "filter[id]"
    assert found["properties"][names["ü" * 70]]["default"] == {names["filter[id]"]: 1}, "a value speaks of arguments, too"
    assert found["properties"]["list"]["items"] == {"$ref": "#/$defs/a b"}
    assert set(found["$defs"]) == {"a b"}
    assert set(found["$defs"]["a b"]["properties"]) == {names[""]}


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_alternatives_keep_what_they_require(word: str) -> None:
    schema = {"type": "object", word: [{"type": "object", "properties": {"a b": {"type": "string"}}, "required": ["a b"]}]}
    fitted = fit(chat(schema), CLAUDE).tools[0].parameters
    assert fitted is not None
    (name,) = fitted["properties"]
    assert fitted["required"] == [name] == [fitted_keys(schema, CLAUDE)["a b"]]


VALUE = {"filter[id]": "x", "list": [{"": None}], "ok.name-1": {"a b": "a b"}, "more": {"c d": 1}}


def test_history_and_answer_use_each_sides_own_names() -> None:
    names = fitted_keys(SCHEMA, CLAUDE)
    call = ToolCall(id="a", name="f", arguments=json.dumps(VALUE))
    other = ToolCall(id="b", name="g", arguments=json.dumps(VALUE))
    asked = chat(messages=(Message(role="user", parts=(Text(text="hi"),)), Message(role="assistant", parts=(call, other))))
    sent, untouched = fit(asked, CLAUDE).messages[1].parts
    assert isinstance(sent, ToolCall)
    assert isinstance(untouched, ToolCall)
    assert json.loads(sent.arguments) == {
        names["filter[id]"]: "x", "list": [{names[""]: None}], "ok.name-1": {names["a b"]: "a b"}, "more": {"c d": 1},
    }  # fmt: skip
    assert untouched.arguments == other.arguments
    answer = ChatResponse(id="r", model="m", choices=(Choice(parts=(sent, untouched), finish=FinishReason.TOOL_CALLS),))
    back = WayBack(asked, wires.get("anthropic_messages"), "").whole(answer).choices[0].tool_calls
    assert [json.loads(one.arguments) for one in back] == [VALUE, VALUE]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_tells_them_once_they_are_whole(size: int) -> None:
    sent = renamed_arguments(json.dumps(VALUE), fitted_keys(SCHEMA, CLAUDE))
    way = WayBack(chat(), wires.get("anthropic_messages"), "")
    pieces = [ToolDelta(0, sent[at : at + size]) for at in range(0, len(sent), size)]
    rest = [ToolStart(1, "b", "g"), ToolDelta(1, "{}"), Finish(FinishReason.TOOL_CALLS), Done()]
    events: list[Event] = [TextDelta("see"), ToolStart(0, "a", "f"), *pieces, *rest]
    told = [one for event in events for one in way.events([event])]
    calls = collect(told).choices[0].tool_calls
    assert [(call.name, json.loads(call.arguments), call.custom) for call in calls] == [("f", VALUE, False), ("g", {}, False)]
    assert isinstance(told[-1], Done)


@pytest.mark.parametrize("arguments", ["", "[]", "no json", '{"filter[id]":'])
def test_what_is_no_object_stays_as_it_is(arguments: str) -> None:
    assert renamed_arguments(arguments, {"filter[id]": "x"}) == arguments


@given(st.dictionaries(st.text(max_size=80), n.values, max_size=4))
def test_there_and_back_is_the_same(value: dict[str, Any]) -> None:
    names = fitted_keys({"type": "object", "properties": {name: {} for name in value}}, CLAUDE)
    there = renamed_arguments(json.dumps(value), names)
    assert all(CLAUDE.key_class is not None and 0 < len(name) <= 64 for name in json.loads(there))
    assert json.loads(renamed_arguments(there, {fitted: name for name, fitted in names.items()})) == json.loads(json.dumps(value))
