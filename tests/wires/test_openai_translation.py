"""Requests between the OpenAI formats and from others: what maps, and what is refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    Audio,
    ChatRequest,
    Document,
    Image,
    Message,
    Opaque,
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
from llm_gateway.wires import openai_chat, openai_responses
from llm_gateway.wires._base import Edits, Inbound, ModelFacts

PLAIN = ModelFacts(upstream_id="up")
HELLO = Message(role="user", parts=(Text(text="hello"),))
FUNCTION = Tool(name="f", description="d", parameters={"type": "object", "properties": {}})


def chat_in(**body: Any) -> Inbound:
    return openai_chat.DIALECT.decode_request(json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]} | body), {})


def responses_in(**body: Any) -> Inbound:
    return openai_responses.DIALECT.decode_request(json.dumps({"model": "m", "input": "hello"} | body), {})


def asked(**fields: Any) -> ChatRequest:
    return ChatRequest(**({"model": "m", "messages": (HELLO,)} | fields))


def test_a_chat_request_maps_to_responses_and_keeps_nothing_there() -> None:
    chat = chat_in(
        messages=[{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}],
        tools=[{"type": "function", "function": {"name": "f"}}],
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}},
        reasoning_effort="low",
        max_tokens=50,
        verbosity="high",
        metadata={"a": "b"},
        logprobs=True,
        top_logprobs=2,
    ).chat()
    body = openai_responses.WIRE.encode_request(chat, msgspec.structs.replace(PLAIN, thinking="effort"))
    assert body == {
        "model": "up",
        "instructions": "s",
        "input": [{"type": "message", "role": "user", "content": "hello"}],
        "tools": [{"type": "function", "name": "f", "strict": False, "parameters": {"type": "object", "properties": {}}}],
        "max_output_tokens": 50,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}, "verbosity": "high"},
        "metadata": {"a": "b"},
        "top_logprobs": 2,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


@pytest.mark.parametrize(
    ("sent", "param"),
    [({"stop": "x"}, "stop"), ({"seed": 1}, "seed"), ({"n": 2}, "n"), ({"logit_bias": {"1": 2}}, "logit_bias"), ({"top_k": 4}, "top_k")],
)
def test_what_responses_lacks_is_refused_by_name(sent: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        openai_responses.WIRE.encode_request(chat_in(**sent).chat(), PLAIN)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"truncation": "auto"}, "truncation"),
        ({"background": True}, "background"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"brand_new": 3}, "brand_new"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
    ],
)
def test_what_only_responses_has_is_refused_by_name(sent: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        openai_chat.WIRE.encode_request(responses_in(**sent).chat(), PLAIN)
    assert caught.value.param == param


def test_defaults_spelled_out_are_no_wishes() -> None:
    assert responses_in(truncation="disabled", background=False, top_logprobs=0, conversation=None).chat().extras == {}
    assert chat_in(logprobs=False, logit_bias={}, modalities=["text"], n=1, functions=None).chat().extras == {}


def test_extras_of_another_dialect_are_refused() -> None:
    for wire in (openai_chat.WIRE, openai_responses.WIRE):
        with pytest.raises(UnsupportedParameter) as caught:
            wire.encode_request(asked(extras={"container": "c"}, hints={"x": 1}, origin="anthropic_messages"), PLAIN)
        assert caught.value.param == "container"
        assert "x" not in wire.encode_request(asked(hints={"x": 1}, origin="anthropic_messages"), PLAIN)


@pytest.mark.parametrize("wire", [openai_chat.WIRE, openai_responses.WIRE])
@pytest.mark.parametrize(
    ("fields", "capability"),
    [
        ({"tools": (FUNCTION,)}, "tools"),
        ({"messages": (Message(role="user", parts=(Image(url="u"),)),)}, "images"),
        ({"messages": (Message(role="user", parts=(Document(data="AAAA"),)),)}, "documents"),
        ({"messages": (Message(role="user", parts=(Audio(data="AAAA", format="wav"),)),)}, "audio"),
        ({"response_format": ResponseFormat(kind="json_schema", name="n", schema={})}, "json_schema"),
    ],
)
def test_capabilities_count_where_they_are_known(wire: Any, fields: dict[str, Any], capability: str) -> None:
    wire.encode_request(asked(**fields), PLAIN)
    wire.encode_request(asked(**fields), msgspec.structs.replace(PLAIN, capabilities=frozenset({capability})))
    with pytest.raises(UnsupportedParameter):
        wire.encode_request(asked(**fields), msgspec.structs.replace(PLAIN, capabilities=frozenset({"other"})))


@pytest.mark.parametrize("wire", [openai_chat.WIRE, openai_responses.WIRE])
def test_sampling_is_refused_where_the_model_takes_none(wire: Any) -> None:
    facts = msgspec.structs.replace(PLAIN, sampling=False, stop=False)
    for fields in ({"temperature": 0.5}, {"top_p": 0.9}, {"stop": ("x",)}):
        with pytest.raises(UnsupportedParameter) as caught:
            wire.encode_request(asked(**fields), facts)
        assert caught.value.param in fields
    assert "temperature" not in wire.encode_request(asked(temperature=1, top_p=1.0), facts)


@pytest.mark.parametrize(
    ("thinking", "reasoning", "expected"),
    [
        ("none", Reasoning(effort="high"), {}),
        ("effort", Reasoning(effort="high"), {"reasoning_effort": "high"}),
        ("effort", Reasoning(budget=0), {"reasoning_effort": "none"}),
        ("effort", Reasoning(budget=-1), {}),
        ("effort", Reasoning(budget=1024), {"reasoning_effort": "low"}),
        ("level", Reasoning(budget=50_000), {"reasoning_effort": "high"}),
        ("budget", Reasoning(budget=2000), {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ("budget", Reasoning(budget=0), {"thinking": {"type": "disabled"}}),
    ],
)
def test_the_wish_to_think_is_said_in_the_hosts_words(thinking: str, reasoning: Reasoning, expected: dict[str, Any]) -> None:
    body = openai_chat.WIRE.encode_request(asked(reasoning=reasoning), msgspec.structs.replace(PLAIN, thinking=thinking))
    assert {name: body[name] for name in ("reasoning_effort", "thinking") if name in body} == expected


def test_a_hosted_tool_of_another_format_is_left_out_beside_functions_and_refused_where_it_is_forced() -> None:
    search = Tool(name="web_search", builtin="web_search", raw={"type": "web_search_20250305"})
    beside = asked(tools=(FUNCTION, search), origin="anthropic_messages")
    assert len(openai_chat.WIRE.encode_request(beside, PLAIN)["tools"]) == 1
    forced = msgspec.structs.replace(beside, tool_choice=ToolChoice(mode="tool", name="web_search"))
    for chat in (forced, asked(tools=(search,), origin="anthropic_messages")):
        with pytest.raises(UnsupportedParameter):
            openai_chat.WIRE.encode_request(chat, PLAIN)
    own = asked(tools=(search,), origin="openai_chat")
    assert openai_chat.WIRE.encode_request(own, PLAIN)["tools"] == [search.raw]


@pytest.mark.parametrize("wire", [openai_chat.WIRE, openai_responses.WIRE])
def test_foreign_parts_become_text_and_foreign_thoughts_are_left_out(wire: Any) -> None:
    search = Opaque(wire="anthropic_messages", raw={"type": "server_tool_use", "name": "web_search", "input": {"query": "rain"}})
    said = json.dumps(wire.encode_request(asked(messages=(HELLO, Message(role="assistant", parts=(search,)))), PLAIN)).decode()
    assert "web_search" in said
    assert "rain" in said
    thought = Thinking(text="hm", signature="s", wire="anthropic_messages")
    body = wire.encode_request(asked(messages=(HELLO, Message(role="assistant", parts=(thought, Text(text="a"))))), PLAIN)
    assert b"hm" not in json.dumps(body)


CALLING = Message(role="assistant", parts=(ToolCall(id="c", name="f", arguments="{}"),))


def test_pictures_in_a_tool_result_follow_in_a_user_message() -> None:
    result = ToolResult(call_id="c", content=(Image(url="https://example.com/a.png"),))
    messages = openai_chat.WIRE.encode_request(
        asked(
            messages=(
                CALLING,
                Message(
                    role="user",
                    parts=(result, Text(text="see")),
                ),
            )
        ),
        PLAIN,
    )["messages"]
    assert [message["role"] for message in messages[1:]] == ["tool", "user"]
    assert [part["type"] for part in messages[2]["content"]] == ["text", "image_url", "text"]
    items = openai_responses.WIRE.encode_request(asked(messages=(CALLING, Message(role="user", parts=(result,)))), PLAIN)["input"]
    assert items[1:] == [
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_image", "image_url": "https://example.com/a.png"}],
        }
    ]


@pytest.mark.parametrize(("text", "shown"), [("no such file", "Error: no such file"), ("Error: gone", "Error: gone"), ("", "Error: ")])
def test_a_failed_result_says_so(text: str, shown: str) -> None:
    content = (Text(text=text),) if text else ()
    result = Message(role="user", parts=(ToolResult(call_id="c", content=content, is_error=True),))
    assert openai_chat.WIRE.encode_request(asked(messages=(CALLING, result)), PLAIN)["messages"][1]["content"] == shown
    assert openai_responses.WIRE.encode_request(asked(messages=(CALLING, result)), PLAIN)["input"][1]["output"] == shown


def test_several_system_texts_are_one_string_for_simple_templates() -> None:
    system = Message(role="system", parts=(Text(text="a", cache="5m"), Text(text="b")))
    body = openai_chat.WIRE.encode_request(asked(messages=(system, HELLO)), PLAIN)
    assert body["messages"][0] == {"role": "system", "content": "a\n\nb"}


def test_text_documents_become_text_and_documents_by_url_are_refused_where_there_is_no_place() -> None:
    named = Message(role="user", parts=(Document(text="hi", name="a.txt"),))
    body = openai_chat.WIRE.encode_request(asked(messages=(named,)), PLAIN)
    assert body["messages"][0]["content"] == [{"type": "text", "text": "a.txt:\nhi"}]
    linked = asked(messages=(Message(role="user", parts=(Document(url="https://example.com/a.pdf"),)),))
    with pytest.raises(UnsupportedParameter):
        openai_chat.WIRE.encode_request(linked, PLAIN)
    item = openai_responses.WIRE.encode_request(linked, PLAIN)["input"][0]["content"][0]
    assert item == {"type": "input_file", "file_url": "https://example.com/a.pdf"}


def test_thoughts_of_our_making_do_not_reach_openai() -> None:
    items = [
        {"type": "reasoning", "id": "rs_cogo_req_0", "summary": []},
        {"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": "cogo:s:anthropic_messages:sig"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "tok"},
        {"role": "user", "content": "hello"},
    ]
    inbound = responses_in(input=items)
    passed = json.loads(openai_responses.WIRE.edit_request(inbound.body, Edits(facts=PLAIN, stream=False)))
    assert passed["input"] == items[2:]
    translated = openai_responses.WIRE.encode_request(inbound.chat(), PLAIN)["input"]
    assert [item for item in translated if item["type"] == "reasoning"] == [items[2]]


@pytest.mark.parametrize("wire", [openai_chat.WIRE, openai_responses.WIRE])
def test_a_choice_narrowed_in_another_format_is_fewer_tools(wire: Any) -> None:
    tools = (FUNCTION, Tool(name="g"), Tool(name="h"))
    choice = ToolChoice(mode="required", allowed=("f", "g"))
    body = wire.encode_request(asked(tools=tools, tool_choice=choice, origin="gemini_generate"), PLAIN)
    assert [tool.get("name") or tool["function"]["name"] for tool in body["tools"]] == ["f", "g"]
    assert body["tool_choice"] == "required"
    own = wire.encode_request(asked(tools=tools, tool_choice=choice, origin="openai_chat"), PLAIN)
    assert len(own["tools"]) == 3
    assert own["tool_choice"]["type"] == "allowed_tools"
