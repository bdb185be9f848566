"""Values that cross wires are held to the target's limits and answered back whole."""

from __future__ import annotations

import base64
import re
from itertools import product
from typing import Any

import msgspec
import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Message,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.core.events import collect, replay
from llm_gateway.wires import ModelFacts, WayBack, dialects, limits, wires

FORMATS = ("anthropic_messages", "gemini_generate", "openai_chat", "openai_responses")
PAIRS = [(caller, provider) for caller, provider in product(FORMATS, FORMATS) if caller != provider]
FACTS = ModelFacts(upstream_id="m")
LONG = "mcp__enterprise-database-management__synchronize-all-customer-data-across-multiple-systems"
ODD = ("0starts.with-a:digit", "has spaces/and slashes", "дом", LONG, LONG + "s", "plain_name")
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 40).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"\0" * 40).decode()
PDF = base64.b64encode(b"%PDF-1.4 " + b"\0" * 40).decode()


def arrived(chat: ChatRequest, provider: str, facts: ModelFacts = FACTS) -> ChatRequest:
    """What the provider reads."""
    body = json.dumps(wires.get(provider).encode_request(chat, facts))
    return dialects.get(provider).decode_request(body, {"kind": "chat", "model": "m", "stream": ""}).chat()


def with_tools(names: tuple[str, ...], origin: str, **more: Any) -> ChatRequest:
    calls = tuple(ToolCall(id=f"call_{at}", name=name, arguments="{}") for at, name in enumerate(names))
    return ChatRequest(
        model="m",
        messages=(
            Message(role="user", parts=(Text(text="go"),)),
            Message(role="assistant", parts=calls),
            Message(role="user", parts=tuple(ToolResult(call_id=call.id, content=(Text(text="ok"),), name=call.name) for call in calls)),
        ),
        tools=tuple(Tool(name=name, parameters={"type": "object"}) for name in names),
        max_tokens=1000,
        origin=origin,
        **more,
    )


@pytest.mark.parametrize("wire", FORMATS)
def test_every_wire_has_a_table_with_its_source_and_date(wire: str) -> None:
    held = limits.get(wire)
    assert held.wire == wire
    assert held.source.startswith("https://")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", held.noted_on)


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
def test_tool_names_fit_the_target_everywhere_and_come_back_whole(caller: str, provider: str) -> None:
    held = limits.get(provider)
    chat = with_tools(ODD, caller, tool_choice=ToolChoice(mode="tool", name=LONG))
    got = arrived(chat, provider)
    names = [tool.name for tool in got.tools]
    assert len(set(names)) == len(ODD)
    assert all(len(name) <= held.name_chars and re.fullmatch(f"[{held.name_start}][{held.name_class}]*", name) for name in names)
    assert [part.name for part in got.messages[1].parts if isinstance(part, ToolCall)] == names
    assert got.tool_choice is not None
    assert got.tool_choice.name == names[ODD.index(LONG)]
    assert names[-1] == "plain_name"

    response = ChatResponse(
        id="x",
        model="m",
        choices=(
            Choice(
                parts=tuple(ToolCall(id=f"c{at}", name=name, arguments="{}") for at, name in enumerate(names)),
                finish=FinishReason.TOOL_CALLS,
            ),
        ),
    )
    back = WayBack(chat, wires.get(provider), "p/m")
    for answer in (back.whole(response), collect(back.events(replay(response)))):
        assert [call.name for call in answer.choices[0].tool_calls] == list(ODD)


@pytest.mark.parametrize("wire", FORMATS)
def test_on_its_own_wire_a_request_is_held_to_nothing(wire: str) -> None:
    chat = msgspec.structs.replace(with_tools((LONG,), wire), user="u" * 300, max_tokens=1)
    body = json.dumps(wires.get(wire).encode_request(chat, FACTS)).decode()
    assert LONG in body


@pytest.mark.parametrize("ids", [("functions.run:0" * 6, "functions.run:0" * 6 + "x"), ("call_0", "call_0"), ("a:b", "a_b"), ("", "x y")])
@pytest.mark.parametrize("provider", FORMATS)
def test_call_ids_fit_and_stay_apart_and_results_find_their_calls(ids: tuple[str, str], provider: str) -> None:
    held = limits.get(provider)
    turns = []
    for at, call_id in enumerate(ids):
        turns += [
            Message(role="user", parts=(Text(text="go"),)),
            Message(role="assistant", parts=(ToolCall(id=call_id, name="f", arguments=f'{{"n":{at}}}'),)),
            Message(role="user", parts=(ToolResult(call_id=call_id, name="f", content=(Text(text=f"r{at}"),)),)),
        ]
    got = arrived(ChatRequest(model="m", messages=tuple(turns), max_tokens=100, origin="native"), provider)
    parts = [part for message in got.messages for part in message.parts]
    calls = [part.id for part in parts if isinstance(part, ToolCall)]
    assert len(set(calls)) == 2
    assert [part.call_id for part in parts if isinstance(part, ToolResult)] == calls
    assert all(len(one) <= (held.id_chars or 1000) and re.fullmatch(f"[{held.id_class or 'a-zA-Z0-9_.: -'}]+", one) for one in calls)


@pytest.mark.parametrize("provider", ["openai_chat", "openai_responses", "anthropic_messages"])
def test_a_long_end_user_becomes_one_short_name_that_never_changes(provider: str) -> None:
    def told(user: str) -> Any:
        chat = msgspec.structs.replace(with_tools(("f",), "gemini_generate"), user=user)
        body = wires.get(provider).encode_request(chat, FACTS)
        return body["metadata"]["user_id"] if provider == "anthropic_messages" else body["user"]

    long = '{"device_id":"' + "d" * 300 + '"}'
    assert told(long) == told(long) != told(long + "x")
    assert len(told(long)) <= 64
    assert told("short") == "short"


@pytest.mark.parametrize("asked", [1, 5, 15, 16, 100])
def test_responses_takes_no_limit_below_sixteen(asked: int) -> None:
    chat = msgspec.structs.replace(with_tools(("f",), "anthropic_messages"), max_tokens=asked)
    assert wires.get("openai_responses").encode_request(chat, FACTS)["max_output_tokens"] == max(16, asked)
    assert wires.get("openai_chat").encode_request(chat, FACTS)["max_tokens"] == asked


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "object"},
        {"type": "object", "properties": None},
        {"type": None, "properties": {}},
        {"properties": {}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": None},
        {"type": ["object", "null"]},
    ],
)
def test_a_tool_that_takes_nothing_has_the_members_every_host_wants(schema: dict[str, Any] | None) -> None:
    chat = msgspec.structs.replace(with_tools(("ping",), "native"), tools=(Tool(name="ping", parameters=schema),))
    nothing = {"type": "object", "properties": {}}
    assert wires.get("openai_chat").encode_request(chat, FACTS)["tools"][0]["function"]["parameters"] == nothing
    assert wires.get("openai_responses").encode_request(chat, FACTS)["tools"][0]["parameters"] == nothing
    assert wires.get("anthropic_messages").encode_request(chat, FACTS)["tools"][0]["input_schema"] == nothing
    declared = wires.get("gemini_generate").encode_request(chat, FACTS)["tools"][0]["functionDeclarations"][0]
    assert declared.get("parametersJsonSchema") is None


@pytest.mark.parametrize("provider", ["openai_chat", "openai_responses", "anthropic_messages"])
def test_alternatives_at_the_top_of_a_tools_schema_become_one_object(provider: str) -> None:
    schema = {
        "oneOf": [
            {"type": "object", "properties": {"id": {"type": "string"}, "x": {"type": "integer"}}, "required": ["id", "x"]},
            {"$ref": "#/$defs/named"},
        ],
        "$defs": {
            "named": {"type": "object", "properties": {"name": {"type": "string"}, "x": {"type": "integer"}}, "required": ["name", "x"]}
        },
    }
    chat = msgspec.structs.replace(with_tools(("f",), "native"), tools=(Tool(name="f", parameters=schema),))
    got = arrived(chat, provider).tools[0].parameters
    assert got is not None
    assert got["type"] == "object"
    assert not {"oneOf", "anyOf", "allOf"} & got.keys()
    assert set(got["properties"]) == {"id", "name", "x"}
    assert got["required"] == ["x"]
    assert "oneOf" in got["description"]


def image(data: str, label: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:{label};base64,{data}"}}]}


@pytest.mark.parametrize(
    ("data", "label", "kind"),
    [
        (JPEG, "image/jpg", "image/jpeg"),
        ("AAAA", "image/jpg", "image/jpeg"),
        (JPEG, "image/pjpeg", "image/jpeg"),
        (JPEG, "image/png", "image/jpeg"),
        (PNG, "IMAGE/JPEG; charset=binary", "image/png"),
        (PNG, "application/octet-stream", "image/png"),
        (PNG, "image/x-png", "image/png"),
    ],
)
@pytest.mark.parametrize("provider", ["anthropic_messages", "gemini_generate", "openai_responses"])
def test_a_picture_is_sent_as_what_it_is(data: str, label: str, kind: str, provider: str) -> None:
    body = json.dumps({"model": "m", "messages": [image(data, label)]})
    chat = dialects.get("openai_chat").decode_request(body, {"kind": "chat"}).chat()
    (part,) = [part for message in arrived(chat, provider).messages for part in message.parts]
    assert part.media_type == kind  # type: ignore[attr-defined]


@pytest.mark.parametrize(("data", "label"), [("AAAA", "image/tiff"), ("AAAA", "image/bmp"), ("AAAA", "application/octet-stream")])
def test_a_picture_of_another_type_is_refused_now_and_told_in_the_history(data: str, label: str) -> None:
    now = [image(data, label)]
    later = [*now, {"role": "assistant", "content": "Nice."}, {"role": "user", "content": "Thanks."}]
    chats = [
        dialects.get("openai_chat").decode_request(json.dumps({"model": "m", "messages": one}), {"kind": "chat"}).chat()
        for one in (now, later)
    ]
    with pytest.raises(UnsupportedParameter) as caught:
        wires.get("anthropic_messages").encode_request(chats[0], FACTS)
    assert "image/jpeg" in caught.value.message
    assert label in caught.value.message
    assert label in arrived(chats[1], "anthropic_messages").messages[0].text


def test_a_document_is_what_its_bytes_say() -> None:
    for label, data, kind in (("application/octet-stream", PDF, "document"), ("text/csv", base64.b64encode(b"a,b").decode(), "text")):
        part = {"inlineData": {"mimeType": label, "data": data}}
        body = json.dumps({"contents": [{"role": "user", "parts": [part]}]})
        chat = dialects.get("gemini_generate").decode_request(body, {"kind": "chat", "model": "m"}).chat()
        for provider in ("anthropic_messages", "openai_chat", "openai_responses"):
            sent = json.dumps(wires.get(provider).encode_request(chat, FACTS)).decode()
            assert ("application/pdf" in sent) is (kind == "document")
            assert ("a,b" in sent) is (kind == "text")


KEYWORDS = {"minimum": 0, "maximum": 9, "exclusiveMinimum": 1, "multipleOf": 3}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "object", "properties": {"n": {"type": "integer", **KEYWORDS}}, "required": ["n"]}, ("properties", "n")),
        ({"type": "object", "properties": {"l": {"type": "array", "items": {"type": "number", **KEYWORDS}}}}, ("properties", "l", "items")),
        ({"type": "object", "properties": {"u": {"anyOf": [{"type": "integer", **KEYWORDS}]}}}, ("properties", "u", "anyOf", 0)),
        ({"type": "object", "properties": {"u": {"oneOf": [{"type": "integer", **KEYWORDS}]}}}, ("properties", "u", "anyOf", 0)),
        ({"type": "object", "properties": {"r": {"$ref": "#/$defs/N"}}, "$defs": {"N": {"type": "integer", **KEYWORDS}}}, ("$defs", "N")),
    ],
)  # fmt: skip
def test_keywords_that_claude_refuses_are_told_in_the_description(schema: dict[str, Any], path: tuple[Any, ...]) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], "response_format": wanted})
    chat = dialects.get("openai_chat").decode_request(body, {"kind": "chat"}).chat()
    sent = wires.get("anthropic_messages").encode_request(chat, FACTS)["output_config"]["format"]["schema"]
    assert sent["additionalProperties"] is False
    for step in path:
        sent = sent[step]
    assert not KEYWORDS.keys() & sent.keys()
    assert sent["description"] == "{minimum: 0, maximum: 9, exclusiveMinimum: 1, multipleOf: 3}"


def test_of_strings_and_lists_only_what_claude_knows_is_sent() -> None:
    schema = {
        "$schema": "x",
        "type": "object",
        "properties": {
            "s": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^a", "format": "email", "description": "An address."},
            "t": {"type": "string", "format": "color"},
            "l": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3, "uniqueItems": True},
            "minimum": {"type": "string"},
        },
    }
    chat = msgspec.structs.replace(with_tools(("f",), "openai_chat"), response_format=_json_schema(schema))
    sent = wires.get("anthropic_messages").encode_request(chat, FACTS)["output_config"]["format"]["schema"]
    assert sent["properties"] == {
        "s": {"type": "string", "format": "email", "description": "An address.\n\n{minLength: 1, maxLength: 5, pattern: ^a}"},
        "t": {"type": "string", "description": "{format: color}"},
        "l": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "{maxItems: 3, uniqueItems: true}"},
        "minimum": {"type": "string"},
    }
    assert "$schema" not in sent


def _json_schema(schema: dict[str, Any]) -> ResponseFormat:
    return ResponseFormat(kind="json_schema", name="n", schema=schema, strict=True)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"next": {"$ref": "#"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}}, "B": {"$ref": "#/$defs/A"}}},
    ],
)
def test_a_schema_that_claude_cannot_hold_is_asked_for_in_words(schema: dict[str, Any]) -> None:
    chat = msgspec.structs.replace(with_tools(("f",), "openai_chat"), response_format=_json_schema(schema))
    body = wires.get("anthropic_messages").encode_request(chat, FACTS)
    assert "output_config" not in body
    assert json.dumps(schema).decode() in body["system"][0]["text"]


@pytest.mark.parametrize("origin", ["openai_chat", "openai_responses", "native"])
@pytest.mark.parametrize("messages", [(), (Message(role="user", parts=(Text(text=" "),)),), (Message(role="user", parts=()),)])
@pytest.mark.parametrize("provider", ["anthropic_messages", "gemini_generate"])
def test_a_conversation_without_words_is_refused_and_the_message_named(messages: tuple[Message, ...], origin: str, provider: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        wires.get(provider).encode_request(ChatRequest(model="m", messages=messages, max_tokens=5, origin=origin), FACTS)
    assert (caught.value.param or "").startswith("messages")
