"""Requests of the OpenAI formats: what agents send, what passes through, what is translated and what is refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    ChatRequest,
    Message,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires import openai_chat, openai_responses
from llm_gateway.wires._base import Edits, Inbound, ModelFacts

from . import openai as o

PLAIN = ModelFacts(upstream_id="up")
HELLO = Message(role="user", parts=(Text(text="hello"),))
FUNCTION = Tool(name="f", description="d", parameters={"type": "object", "properties": {}})


def chat_in(**body: Any) -> Inbound:
    return openai_chat.DIALECT.decode_request(json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]} | body), {})


def responses_in(**body: Any) -> Inbound:
    return openai_responses.DIALECT.decode_request(json.dumps({"model": "m", "input": "hello"} | body), {})


def asked(**fields: Any) -> ChatRequest:
    return ChatRequest(**({"model": "m", "messages": (HELLO,)} | fields))


CODEX: dict[str, Any] = {
    "model": "m",
    "instructions": "You are Codex.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions>"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context>"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix the test."}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Look."}], "encrypted_content": "tok"},
        {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "shell", "arguments": '{"command":["ls"]}'},
        {"type": "function_call", "id": "fc_2", "call_id": "call_2", "namespace": "mcp__docs__", "name": "search", "arguments": "{}"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_3", "name": "apply_patch", "input": "*** Begin Patch"},
        {"type": "function_call_output", "call_id": "call_1", "output": "README"},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "found"}]},
        {"type": "custom_tool_call_output", "call_id": "call_3", "output": "done"},
    ],
    "tools": [
        {"type": "function", "name": "shell", "description": "Runs.", "strict": False, "parameters": {"type": "object", "properties": {}}},
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "Patches.",
            "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
        },
        {
            "type": "namespace",
            "name": "mcp__docs__",
            "description": "Docs.",
            "tools": [{"type": "function", "name": "search", "strict": False, "parameters": {"type": "object", "properties": {}}}],
        },
        {"type": "web_search", "external_web_access": False},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "session-1",
    "client_metadata": {"x": "y"},
    "text": {"verbosity": "low"},
}


def test_codex_is_understood() -> None:
    inbound = openai_responses.DIALECT.decode_request(json.dumps(CODEX), {"kind": "chat"})
    assert (inbound.stream, inbound.affinity, inbound.needs) == (True, "session-1", {"tools", "reasoning"})
    chat = inbound.chat()
    assert [message.role for message in chat.messages] == ["system", "system", "user", "user", "assistant", "user"]
    assert chat.messages[4].parts == (
        Thinking(text="Look.", signature="tok", wire="openai_responses", id="rs_1"),
        Text(text="I look."),
        ToolCall(id="call_1", name="shell", arguments='{"command":["ls"]}'),
        ToolCall(id="call_2", name="mcp__docs__search", arguments="{}"),
        ToolCall(id="call_3", name="apply_patch", arguments="*** Begin Patch", custom=True),
    )
    assert chat.messages[5].parts == (
        ToolResult(call_id="call_1", content=(Text(text="README"),)),
        ToolResult(call_id="call_2", content=(Text(text="found"),)),
        ToolResult(call_id="call_3", content=(Text(text="done"),), custom=True),
    )
    assert [(tool.name, tool.custom, tool.builtin) for tool in chat.tools] == [
        ("shell", False, None),
        ("apply_patch", True, None),
        ("mcp__docs__search", False, None),
        ("web_search", False, "web_search"),
    ]
    assert chat.reasoning == Reasoning(effort="medium", summary="auto", include=True)
    assert set(chat.hints) == {"store", "include", "prompt_cache_key", "client_metadata"}
    assert chat.extras == {"verbosity": "low"}


def test_codex_reaches_a_chat_host() -> None:
    chat = openai_responses.DIALECT.decode_request(json.dumps(CODEX), {}).chat()
    body = openai_chat.WIRE.encode_request(chat, PLAIN)
    assert [message["role"] for message in body["messages"]] == ["system", "user", "user", "assistant", "tool", "tool", "tool"]
    several = openai_chat.WIRE.encode_request(chat, o.FACTS)["messages"]
    assert [message["role"] for message in several] == ["system", "system", "user", "user", "assistant", "tool", "tool", "tool"]
    assert body["messages"][0]["content"] == "\n\n".join(message["content"] for message in several[:2])
    assert [tool[tool["type"]]["name"] for tool in body["tools"]] == ["shell", "apply_patch", "mcp__docs__search"]
    assert body["tools"][1]["custom"]["format"] == {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}
    assert {"store", "include", "client_metadata", "reasoning", "text"}.isdisjoint(body)
    assert (body["prompt_cache_key"], body["verbosity"], body["stream"]) == ("session-1", "low", True)
    strict = openai_chat.WIRE.encode_request(chat, msgspec.structs.replace(PLAIN, drop_hints=True))
    assert "prompt_cache_key" not in strict


def test_tools_in_the_middle_of_the_conversation_are_tools() -> None:
    more = {
        "type": "additional_tools",
        "role": "developer",
        "tools": [{"type": "function", "name": "late", "strict": True, "parameters": {}}],
    }
    inbound = responses_in(input=[{"role": "user", "content": "hello"}, more])
    assert "tools" in inbound.needs
    assert inbound.chat().messages == (HELLO,)
    assert inbound.chat().tools == (Tool(name="late", parameters={}, strict=True),)


def test_opencode_is_understood_and_its_reasoning_goes_back_where_it_is_wanted() -> None:
    messages = [
        {"role": "system", "content": "You are opencode."},
        {"role": "user", "content": "One."},
        {"role": "user", "content": [{"type": "text", "text": "Two.", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    inbound = chat_in(messages=messages, stream=True, stream_options={"include_usage": True}, tools=[])
    assert inbound.include_usage
    chat = inbound.chat()
    assert chat.messages[2].parts == (Text(text="Two.", cache="5m"),)
    assert chat.messages[3].parts == (Thinking(text="hm"), ToolCall(id="c", name="f", arguments="{}"))
    plain = openai_chat.WIRE.encode_request(chat, PLAIN)["messages"]
    assert "reasoning_content" not in plain[3]
    assert plain[2]["content"] == "Two."
    wanted = openai_chat.WIRE.encode_request(chat, o.FACTS)["messages"]
    assert wanted[3]["reasoning_content"] == "hm"
    assert wanted[2]["content"][0]["cache_control"] == {"type": "ephemeral"}


def test_affinity_is_the_same_in_every_turn_of_a_session() -> None:
    turn = [{"role": "system", "content": "s" * 1000}, {"role": "user", "content": "first"}]
    later = [*turn, {"role": "assistant", "content": "a"}, {"role": "user", "content": "second"}]
    assert chat_in(messages=turn).affinity == chat_in(messages=later).affinity
    assert chat_in(messages=turn).affinity != chat_in(messages=[turn[0], {"role": "user", "content": "other"}]).affinity
    assert chat_in(messages=turn, prompt_cache_key="k").affinity == "k"


def test_only_the_named_fields_change_on_the_same_wire() -> None:
    body = b'{ "model":"alias", "new_field": {"a":1.50}, "messages":[ {"role":"user","content":"\\u00e9"} ] }'
    edited = openai_chat.WIRE.edit_request(body, Edits(facts=PLAIN, stream=False))
    assert edited == b'{"model":"up","new_field":{"a":1.50},"messages":[ {"role":"user","content":"\\u00e9"} ]}'


@pytest.mark.parametrize(
    ("sent", "stream", "usage", "expected"),
    [
        ({}, True, True, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": True}, True, False, {"stream": True}),
        (
            {"stream": True, "stream_options": {"include_obfuscation": False, "include_usage": False}},
            True,
            True,
            {"stream": True, "stream_options": {"include_obfuscation": False, "include_usage": True}},
        ),
        ({"stream": True, "stream_options": {"include_usage": True}}, False, True, {"stream": False}),
        ({"stream": None, "stream_options": None}, True, True, {"stream": True, "stream_options": {"include_usage": True}}),
        ({}, False, False, {}),
    ],
)
def test_the_stream_options_are_merged(sent: dict[str, Any], stream: bool, usage: bool, expected: dict[str, Any]) -> None:
    body = json.dumps({"model": "alias", "messages": []} | sent)
    edited = json.loads(openai_chat.WIRE.edit_request(body, Edits(facts=PLAIN, stream=stream, include_usage=usage)))
    assert edited == {"model": "up", "messages": []} | expected


@pytest.mark.parametrize(
    ("sent", "field", "ceiling", "expected"),
    [
        ({"max_tokens": 5}, "max_tokens", None, {"max_tokens": 5}),
        ({"max_tokens": 5}, "max_completion_tokens", None, {"max_completion_tokens": 5}),
        ({"max_completion_tokens": 5}, "max_tokens", None, {"max_tokens": 5}),
        ({"max_tokens": 9, "max_completion_tokens": 5}, "max_tokens", None, {"max_tokens": 5}),
        ({}, "max_tokens", None, {}),
        ({}, "max_tokens", 7, {"max_tokens": 7}),
        ({"max_tokens": 5}, "max_tokens", 7, {"max_tokens": 5}),
        ({"max_tokens": 9}, "max_completion_tokens", 7, {"max_completion_tokens": 7}),
        ({"max_tokens": None}, "max_tokens", 7, {"max_tokens": 7}),
    ],
)
def test_the_token_limit_goes_out_under_the_one_name_the_host_knows(
    sent: dict[str, Any], field: str, ceiling: int | None, expected: dict[str, Any]
) -> None:
    facts = msgspec.structs.replace(PLAIN, max_tokens_field=field)
    body = json.dumps({"model": "alias"} | sent)
    assert (
        json.loads(openai_chat.WIRE.edit_request(body, Edits(facts=facts, stream=False, max_tokens=ceiling))) == {"model": "up"} | expected
    )


def test_a_strict_host_gets_no_hint_and_no_cache_breakpoint() -> None:
    content = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    function = {"name": "f", "parameters": {"properties": {"cache_control": {"type": "string"}}}}
    sent = {
        "model": "alias",
        "messages": [{"role": "user", "content": content}],
        "tools": [{"type": "function", "function": function, "cache_control": {"type": "ephemeral"}}],
        "store": True,
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "brand_new": 1,
    }
    facts = msgspec.structs.replace(PLAIN, drop_hints=True)
    edited = json.loads(openai_chat.WIRE.edit_request(json.dumps(sent), Edits(facts=facts, stream=False, drop=("brand_new",))))
    assert edited == {
        "model": "up",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "tools": [{"type": "function", "function": function}],
    }


def test_responses_bodies_pass_with_the_same_care() -> None:
    body = b'{"model":"alias","input":"x", "max_output_tokens":9,"stream":true,"stream_options":{"include_obfuscation":false},"store":true}'
    edits = Edits(facts=PLAIN, stream=True, include_usage=True, max_tokens=7)
    assert json.loads(openai_responses.WIRE.edit_request(body, edits)) == {
        "model": "up",
        "input": "x",
        "max_output_tokens": 7,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "store": True,
    }
    still = json.loads(openai_responses.WIRE.edit_request(body, Edits(facts=PLAIN, stream=False)))
    assert (still["stream"], still["max_output_tokens"]) == (False, 9)
    assert "stream_options" not in still


def test_embeddings_pass_with_the_model_renamed() -> None:
    body = b'{"model":"alias","input":["a","b"],"encoding_format":"base64","dimensions":3,"task":"x"}'
    inbound = openai_chat.DIALECT.decode_request(body, {"kind": "embeddings"})
    assert (inbound.kind, inbound.model, inbound.size, inbound.stream) == ("embeddings", "alias", 2, False)
    edited = openai_chat.WIRE.edit_request(body, Edits(facts=PLAIN, stream=False))
    assert edited == body.replace(b"alias", b"up")
    assert openai_chat.WIRE.path("embeddings", PLAIN, False) == "/embeddings"
    assert inbound.embedding is not None
    with pytest.raises(UnsupportedParameter) as caught:
        inbound.embedding()
    assert caught.value.param == "task"


@pytest.mark.parametrize("value", ["abc", ["abc"], [1], [[1]], [{"type": "image_url", "image_url": "u"}]])
def test_every_form_of_embedding_input_has_a_size(value: Any) -> None:
    assert openai_chat.DIALECT.decode_request(json.dumps({"model": "m", "input": value}), {"kind": "embeddings"}).size >= 3


def test_paths_are_those_of_the_kinds() -> None:
    assert openai_chat.WIRE.path("chat", PLAIN, True) == "/chat/completions"
    assert openai_responses.WIRE.path("chat", PLAIN, True) == "/responses"
    assert openai_responses.WIRE.path("count_tokens", PLAIN, False) == "/responses/input_tokens"
    assert openai_chat.WIRE.path("count_tokens", PLAIN, False) == "/responses/input_tokens"
    with pytest.raises(UnsupportedParameter):
        openai_chat.WIRE.path("images", PLAIN, False)
