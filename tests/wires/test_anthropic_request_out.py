"""What goes to a provider in the Messages format."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    Audio,
    Document,
    Image,
    Part,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires._base import Edits, ModelFacts
from llm_gateway.wires.anthropic_messages import DIALECT, WIRE
from tests.wires.anthropic_requests import ADAPTIVE, BUDGET, FACTS, MINIMAL, chat, inbound, talk, text


def test_neutral_values_of_what_it_cannot_do_are_taken() -> None:
    body = WIRE.encode_request(chat(presence_penalty=0, frequency_penalty=0.0, n=1), FACTS)
    assert body.keys() == {"model", "max_tokens", "messages"}


def test_sampling_where_a_model_takes_none() -> None:
    for name, value in (("temperature", 0.2), ("top_p", 0.9), ("top_k", 5)):
        with pytest.raises(UnsupportedParameter) as caught:
            WIRE.encode_request(chat(**{name: value}), ADAPTIVE)
        assert caught.value.param == name
    assert "temperature" not in WIRE.encode_request(chat(temperature=1), ADAPTIVE)


def test_a_limit_is_always_sent_and_never_above_the_models() -> None:
    assert WIRE.encode_request(chat(), FACTS)["max_tokens"] == 4096
    assert WIRE.encode_request(chat(max_tokens=10**6), BUDGET)["max_tokens"] == 32_000


def test_system_is_lifted_and_a_later_one_keeps_its_place() -> None:
    body = WIRE.encode_request(
        talk(("system", text("A")), ("system", text("B")), ("user", text("hi")), ("assistant", text("yes")), ("system", text("C"))), FACTS
    )
    assert body["system"] == [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
    assert body["messages"][-1] == {"role": "user", "content": "<system>\nC\n</system>"}


def test_system_alone_becomes_the_users_turn() -> None:
    body = WIRE.encode_request(talk(("system", text("Say hi"))), FACTS)
    assert "system" not in body or not body["system"]
    assert body["messages"] == [{"role": "user", "content": "Say hi"}]


def test_turns_of_one_role_are_merged_results_first_and_empty_text_left_out() -> None:
    call = ToolCall(id="functions.f:0", name="f", arguments="")
    body = WIRE.encode_request(
        talk(
            ("user", text("one")),
            ("user", (Text(text=" "), Text(text="two"))),
            ("assistant", (Text(text=""), call)),
            ("user", text("and")),
            ("user", (ToolResult(call_id="functions.f:0", content=text("done")),)),
        ),
        FACTS,
    )
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "functions_f_0", "content": "done"}, {"type": "text", "text": "and"}],
        },
    ]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (ToolCall(id="a", name="f", arguments='{"x": 1}'), {"x": 1}),
        (ToolCall(id="a", name="f", arguments='{"x": '), {"arguments": '{"x": '}),
        (ToolCall(id="a", name="f", arguments="[1]"), {"arguments": "[1]"}),
        (ToolCall(id="a", name="f", arguments="*** patch", custom=True), {"input": "*** patch"}),
    ],
)
def test_arguments_become_an_object(call: ToolCall, expected: dict[str, Any]) -> None:
    body = WIRE.encode_request(talk(("user", text("x")), ("assistant", (call,)), ("user", text("y"))), FACTS)
    assert body["messages"][1]["content"][0]["input"] == expected


def test_a_free_text_tool_becomes_a_function_with_one_input() -> None:
    body = WIRE.encode_request(chat(tools=(Tool(name="patch", custom=True),)), FACTS)
    assert body["tools"][0]["input_schema"]["required"] == ["input"]


def test_a_started_answer_is_refused_by_models_that_do_not_go_on_with_it() -> None:
    started = talk(("user", text("x")), ("assistant", text("Sure: ")))
    assert WIRE.encode_request(started, FACTS)["messages"][-1]["content"] == "Sure:"
    with pytest.raises(UnsupportedParameter) as caught:
        WIRE.encode_request(started, ADAPTIVE)
    assert caught.value.param == "messages"


def test_a_paused_turn_goes_back_even_to_those() -> None:
    paused = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    found = inbound(messages=[{"role": "user", "content": "x"}, {"role": "assistant", "content": [paused]}]).chat()
    assert WIRE.encode_request(found, ADAPTIVE)["messages"][-1]["content"] == [paused]


def test_only_our_own_signatures_are_sent() -> None:
    thoughts: tuple[Part, ...] = (
        Thinking(text="ours", signature="s", wire="anthropic_messages"),
        Thinking(text="theirs", signature="s", wire="openai_responses"),
        Thinking(text="bare"),
        Text(text="so"),
    )
    body = WIRE.encode_request(talk(("user", text("x")), ("assistant", thoughts), ("user", text("y"))), FACTS)
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "ours", "signature": "s"},
        {"type": "text", "text": "so"},
    ]


@pytest.mark.parametrize(
    ("wish", "facts", "limit", "expected"),
    [
        (Reasoning(effort="high"), FACTS, 1000, {}),
        (Reasoning(effort="high"), BUDGET, 30_000, {"thinking": {"type": "enabled", "budget_tokens": 16384}, "max_tokens": 30_000}),
        (Reasoning(effort="high"), BUDGET, 8000, {"thinking": {"type": "enabled", "budget_tokens": 4000}, "max_tokens": 8000}),
        (Reasoning(effort="high"), BUDGET, 1000, {"max_tokens": 1000}),
        (Reasoning(effort="low"), BUDGET, None, {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 18_048}),
        (Reasoning(effort="none"), BUDGET, 1000, {"thinking": {"type": "disabled"}}),
        (Reasoning(budget=-1), BUDGET, 30_000, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        (Reasoning(effort="minimal"), ADAPTIVE, 1000, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        (Reasoning(budget=5000), ADAPTIVE, 1000, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}),
        (
            Reasoning(effort="xhigh", include=True),
            ADAPTIVE,
            1000,
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}},
        ),
        (Reasoning(budget=0), ADAPTIVE, 1000, {"thinking": {"type": "disabled"}}),
    ],
)
def test_how_much_to_think(wish: Reasoning, facts: ModelFacts, limit: int | None, expected: dict[str, Any]) -> None:
    body = WIRE.encode_request(chat(reasoning=wish, max_tokens=limit), facts)
    assert {name: body[name] for name in expected} == expected
    assert "thinking" in expected or "thinking" not in body


def test_forced_calls_and_unsigned_tool_loops_go_without_thinking() -> None:
    function = Tool(name="f", parameters={"type": "object"})
    forced = chat(tools=(function,), tool_choice=ToolChoice(mode="required"), reasoning=Reasoning(effort="high"), max_tokens=20_000)
    assert "thinking" not in WIRE.encode_request(forced, BUDGET)
    loop = talk(
        ("user", text("x")),
        ("assistant", (ToolCall(id="a", name="f", arguments="{}"),)),
        ("user", (ToolResult(call_id="a", content=text("r")),)),
        tools=(function,),
        reasoning=Reasoning(effort="high"),
        max_tokens=20_000,
    )
    assert "thinking" not in WIRE.encode_request(loop, BUDGET)


def test_figures_weigh_more_than_the_wish_to_think() -> None:
    wish = Reasoning(effort="high")
    assert "thinking" not in WIRE.encode_request(chat(reasoning=wish, max_tokens=20_000, temperature=0.2), BUDGET)
    assert "thinking" not in WIRE.encode_request(chat(reasoning=wish, max_tokens=20_000, top_k=5), BUDGET)
    assert "thinking" in WIRE.encode_request(chat(reasoning=wish, max_tokens=20_000, temperature=1), BUDGET)


def test_of_temperature_and_top_p_the_one_that_says_nothing_goes() -> None:
    body = WIRE.encode_request(chat(temperature=1, top_p=0.5), FACTS)
    assert (body.get("temperature"), body["top_p"]) == (None, 0.5)
    body = WIRE.encode_request(chat(temperature=0.5, top_p=1), FACTS)
    assert (body["temperature"], body.get("top_p")) == (0.5, None)


def test_tool_choice_and_one_call_at_a_time() -> None:
    tools = (Tool(name="f", parameters={"type": "object"}), Tool(name="g", parameters={"type": "object"}))
    body = WIRE.encode_request(chat(tools=tools, tool_choice=ToolChoice(mode="tool", name="f"), parallel_tool_calls=False), FACTS)
    assert body["tool_choice"] == {"type": "tool", "name": "f", "disable_parallel_tool_use": True}
    body = WIRE.encode_request(chat(tools=tools, tool_choice=ToolChoice(mode="required", allowed=("g",))), FACTS)
    assert body["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert "tool_choice" not in WIRE.encode_request(chat(tool_choice=ToolChoice(mode="auto")), FACTS)


def test_a_foreign_schema_is_closed() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}}}
    wanted = ResponseFormat(kind="json_schema", name="x", schema=schema)
    found = WIRE.encode_request(chat(response_format=wanted), FACTS)["output_config"]["format"]["schema"]
    assert found["additionalProperties"] is False
    assert found["properties"]["a"]["items"]["additionalProperties"] is False
    assert "additionalProperties" not in schema


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    body = WIRE.encode_request(chat(response_format=ResponseFormat(kind="json")), FACTS)
    assert "JSON object" in json.dumps(body["system"]).decode()
    assert "output_config" not in body
    assert "system" not in WIRE.encode_request(chat(response_format=ResponseFormat(kind="text")), FACTS)


@pytest.mark.parametrize(
    "part",
    [
        Audio(data="AAAA", format="wav"),
        Image(file_id="file-1"),
        Document(data="AAAA", media_type="application/zip"),
    ],
)
def test_parts_the_format_does_not_have_are_refused(part: Part) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        WIRE.encode_request(chat("x", part), FACTS)
    assert caught.value.param == "messages[0].content"


def test_media_of_other_formats() -> None:
    body = WIRE.encode_request(chat(Image(data="/9j/AAAA"), Document(data="eA==", media_type="text/markdown", name="n")), FACTS)
    assert body["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/AAAA"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "title": "n"},
    ]


def test_capabilities_are_judged_where_the_facts_list_any() -> None:
    small = ModelFacts(upstream_id="x", capabilities=frozenset({"json_schema"}), stop=False)
    for request, param in (
        (chat(tools=(Tool(name="f", parameters={}),)), "tools"),
        (chat(Image(url="https://e.org/x")), "messages[0]"),
        (chat(stop=("x",)), "stop"),
    ):
        with pytest.raises(UnsupportedParameter) as caught:
            WIRE.encode_request(request, small)
        assert caught.value.param == param


def test_edits_touch_nothing_else() -> None:
    body = b'{"model":"alias","messages":[{"role":"user","content":"x"}],"max_tokens" : 9,"brand_new":{"b":1.0},"stream":true}'
    edited = WIRE.edit_request(body, Edits(facts=FACTS, stream=False, max_tokens=7, drop=("brand_new",)))
    assert edited == b'{"model":"claude-x","messages":[{"role":"user","content":"x"}],"max_tokens":7,"stream":false}'
    untouched = WIRE.edit_request(body, Edits(facts=FACTS, stream=True))
    assert b'"brand_new":{"b":1.0}' in untouched
    assert b'"max_tokens":9' in untouched
    assert b"stream" not in WIRE.edit_request(b'{"model":"a"}', Edits(facts=FACTS, stream=False))


def test_thinking_of_other_providers_is_left_out_on_the_way_to_this_one() -> None:
    blocks = [
        {"type": "thinking", "thinking": "a", "signature": "cogo:openai_responses:rs_1:token"},
        {"type": "thinking", "thinking": "b", "signature": "real"},
        {"type": "text", "text": "t"},
    ]
    body = json.dumps(MINIMAL | {"messages": [{"role": "assistant", "content": blocks}, {"role": "assistant", "content": blocks[:1]}]})
    edited = json.loads(WIRE.edit_request(body, Edits(facts=FACTS, stream=False)))
    assert edited["messages"] == [{"role": "assistant", "content": blocks[1:]}]
    found = DIALECT.decode_request(body, {"kind": "chat"}).chat()
    assert found.messages[0].parts[0] == Thinking(text="a", signature="token", wire="openai_responses", id="rs_1")


def test_paths() -> None:
    assert WIRE.path("chat", FACTS, True) == WIRE.path("chat", FACTS, False) == "/v1/messages"
    assert WIRE.path("count_tokens", FACTS, False) == "/v1/messages/count_tokens"
