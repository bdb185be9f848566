"""What callers of the Messages format send."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    Document,
    Image,
    Opaque,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
)
from llm_gateway.core.errors import InvalidJsonBody, InvalidRequest, UnsupportedParameter
from llm_gateway.wires import wires
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires.anthropic_messages import DIALECT, WIRE
from llm_gateway.wires.anthropic_messages.wire import MessagesCounter
from tests.wires.anthropic_requests import ADAPTIVE, CLAUDE_CODE, FACTS, chat, inbound


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"model": 3}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"thinking": {"type": "on"}}, "thinking.type"),
        ({"output_config": {"effort": "much"}}, "output_config.effort"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
    ],
)
def test_a_wrong_type_is_refused_with_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        inbound(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "text"}, "messages[0].content[0].text"),
        ({"type": "text", "text": 1}, "messages[0].content[0].text"),
        ({}, "messages[0].content[0].type"),
        ({"type": "image", "source": {"type": "base64", "data": 1}}, "messages[0].content[0].source.data"),
        ({"type": "tool_result", "content": "x"}, "messages[0].content[0].tool_use_id"),
        ({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": 2}]}, "messages[0].content[0].content[0].text"),
        ({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "9h"}}, "messages[0].content[0].cache_control.ttl"),
    ],
)
def test_a_wrong_block_is_refused_with_its_path(block: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        inbound(messages=[{"role": "user", "content": [block]}]).chat()
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,"a":2}', b"\xff", b'{"a":NaN}'])
def test_what_is_not_plain_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJsonBody):
        DIALECT.decode_request(body, {"kind": "chat"})


def test_a_list_is_no_request() -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.decode_request(b"[]", {"kind": "chat"})


def test_routing_facts() -> None:
    found = inbound(
        stream=True,
        system=[{"type": "text", "text": "s" * 100, "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "tail"}],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 100_000}},
                    {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": "r" * 50}]},
                ],
            }
        ],
        tools=[{"name": "f", "input_schema": {"type": "object"}}],
    )
    assert (found.kind, found.model, found.stream, found.include_usage, found.max_tokens, found.n) == ("chat", "m", True, True, 100, 1)
    assert found.needs == {"tools", "images"}
    assert 4150 < found.size < 4300
    assert found.affinity == "s" * 100


def test_affinity_is_the_callers_user_first() -> None:
    found = inbound(metadata={"user_id": "user_session_1"}, system="be brief")
    assert (found.affinity, found.user) == ("user_session_1", "user_session_1")
    assert inbound(system="be brief").affinity == "be brief\nhi"
    assert inbound(system="s" * 10_000).affinity.endswith("s\nhi"), "one long system prompt does not make all conversations one"


def test_the_count_kind_needs_no_limit_and_never_streams() -> None:
    found = inbound("count_tokens", max_tokens=None)
    assert (found.kind, found.stream) == ("count_tokens", False)
    counter = MessagesCounter()
    assert counter.decode_response(counter.encode_response(17)) == 17
    assert counter.decode_response(b"<html>") is None
    body = counter.encode_request(inbound(system="s", temperature=0.5, metadata={"user_id": "u"}).chat(), FACTS)
    assert body == {"model": "claude-x", "system": "s", "messages": [{"role": "user", "content": "hi"}]}


def test_what_claude_code_sends_has_no_extras_and_comes_back_whole() -> None:
    found = DIALECT.decode_request(json.dumps(CLAUDE_CODE), {"kind": "chat"}).chat()
    assert found.extras == {}
    assert found.hints == {"context_management": CLAUDE_CODE["context_management"]}
    assert found.reasoning == Reasoning(effort="medium", budget=-1)
    assert [message.role for message in found.messages] == ["system", "user", "system", "assistant", "user"]
    body = WIRE.encode_request(found, ADAPTIVE)
    expected = CLAUDE_CODE | {"model": "claude-x"}
    expected["messages"] = [*CLAUDE_CODE["messages"]]
    expected["messages"][3] = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a"}]}
    assert body == expected


@pytest.mark.parametrize("thinking", ["none", "budget", "level", "adaptive", "effort"])
@pytest.mark.parametrize("wire", sorted(wires))
def test_what_claude_code_sends_can_be_said_in_every_format(wire: str, thinking: str) -> None:
    found = DIALECT.decode_request(json.dumps(CLAUDE_CODE), {"kind": "chat"}).chat()
    assert json.dumps(wires.get(wire).encode_request(found, ModelFacts(upstream_id="x", thinking=thinking)))


def test_hints_stay_home_where_a_host_is_strict() -> None:
    found = DIALECT.decode_request(json.dumps(CLAUDE_CODE), {"kind": "chat"}).chat()
    strict = ModelFacts(upstream_id="x", thinking="adaptive", drop_hints=True)
    assert "context_management" not in WIRE.encode_request(found, strict)


def test_fields_with_a_meaning_are_extras_and_go_back_on_the_same_wire_only() -> None:
    found = inbound(container="c", mcp_servers=[{"url": "x"}], inference_geo="eu", brand_new=1).chat()
    assert found.extras == {"container": "c", "mcp_servers": [{"url": "x"}], "inference_geo": "eu", "brand_new": 1}
    assert WIRE.encode_request(found, FACTS)["brand_new"] == 1
    with pytest.raises(UnsupportedParameter) as caught:
        WIRE.encode_request(chat(extras={"logit_bias": {}}, origin="openai_chat"), FACTS)
    assert caught.value.param == "logit_bias"


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "image", "source": {"type": "url", "url": "https://e.org/a"}}, Image(url="https://e.org/a")),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, Image(file_id="f")),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}, "title": "t"},
            Document(media_type="application/pdf", data="JVBE", name="t"),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            Document(media_type="text/plain", text="x"),
        ),
        ({"type": "thinking", "thinking": "", "signature": "abc"}, Thinking(signature="abc", wire="anthropic_messages")),
        ({"type": "redacted_thinking", "data": "abc"}, Thinking(redacted="abc", wire="anthropic_messages")),
        (
            {"type": "search_result", "source": "https://e.org", "title": "T", "content": [{"type": "text", "text": "found"}]},
            Text(text="T (https://e.org)\nfound"),
        ),
    ],
)
def test_blocks_of_a_caller(block: dict[str, Any], part: Part) -> None:
    assert inbound(messages=[{"role": "user", "content": [block]}]).chat().messages[0].parts == (part,)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "container_upload", "file_id": "f"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "citations": {"enabled": True}},
        {"type": "something_new", "x": 1},
    ],
)
def test_blocks_only_this_format_knows_travel_whole(block: dict[str, Any]) -> None:
    found = inbound(messages=[{"role": "user", "content": [block]}]).chat()
    assert found.messages[0].parts == (Opaque(wire="anthropic_messages", raw=block),)
    assert WIRE.encode_request(found, FACTS)["messages"][0]["content"] == [block]


def test_server_tools_are_builtin() -> None:
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    found = inbound(tools=[tool]).chat()
    assert found.tools == (Tool(name="web_search", builtin="web_search_20250305", raw=tool),)
    assert WIRE.encode_request(found, FACTS)["tools"] == [tool]


def test_hosted_tools_of_another_format_stay_behind_beside_functions() -> None:
    search = Tool(name="web_search", builtin="web_search", raw={"type": "web_search"})
    function = Tool(name="f", parameters={"type": "object"})
    both = chat(tools=(search, function), origin="openai_responses")
    assert [tool["name"] for tool in WIRE.encode_request(both, FACTS)["tools"]] == ["f"]
    with pytest.raises(UnsupportedParameter) as caught:
        WIRE.encode_request(chat(tools=(search,), origin="openai_responses"), FACTS)
    assert caught.value.param == "tools"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"seed": 1}, "seed"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"temperature": 1.5}, "temperature"),
    ],
)
def test_what_the_format_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        WIRE.encode_request(chat(**fields), FACTS)
    assert caught.value.param == param
