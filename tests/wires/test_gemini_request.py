"""What callers of Gemini's format send."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    Audio,
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_gateway.core.errors import InvalidJsonBody, InvalidRequest, UnsupportedParameter
from llm_gateway.wires import wires
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires.gemini_generate import DIALECT, WIRE
from llm_gateway.wires.gemini_generate.openapi import to_json_schema
from tests.wires.gemini_requests import FACTS, GEMINI_CLI, LEVEL, chat, inbound, text


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": []}, "contents"),
        ({"contents": "hi"}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": "x"}]}, "contents[0].parts"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"generation_config": {"max_output_tokens": "1"}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"candidateCount": 0}}, "generationConfig.candidateCount"),
        ({"tools": {"functionDeclarations": []}}, "tools"),
        ({"systemInstruction": 3}, "systemInstruction"),
        ({"generationConfig": {"topK": 1}, "generation_config": {"topK": 2}}, "generationConfig"),
    ],
)
def test_a_wrong_type_is_refused_with_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        inbound(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": "x"}}]}]},
            "contents[0].parts[0].functionResponse.response",
        ),
        ({"tools": [{"functionDeclarations": [{"description": "x"}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"generationConfig": {"responseSchema": {"type": "OBJECT"}}}, "generationConfig.responseMimeType"),
    ],
)
def test_a_wrong_part_is_refused_with_its_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        inbound(**fields).chat()
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"{", b'{"contents":[],"contents":[]}', b"\xff"])
def test_what_is_not_plain_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJsonBody):
        DIALECT.decode_request(body, {"kind": "chat", "model": "m"})


def test_routing_facts_come_from_the_path_and_the_body() -> None:
    found = inbound(
        stream="sse",
        contents=[{"parts": [{"text": "x" * 100}, {"inlineData": {"mimeType": "image/png", "data": "A" * 90_000}}]}],
        systemInstruction={"parts": [{"text": "be brief"}]},
        tools=[{"googleSearch": {}}],
        generationConfig={"maxOutputTokens": 7, "candidateCount": 2, "responseMimeType": "application/json", "responseJsonSchema": {}},
    )
    assert (found.kind, found.model, found.stream, found.include_usage, found.max_tokens, found.n) == ("chat", "m", True, True, 7, 2)
    assert found.needs == {"tools", "images", "n"}
    assert 4100 < found.size < 4200
    assert found.affinity.startswith("be brief\nxxx")
    assert inbound(contents=[{"parts": [{"text": "hi"}]}], systemInstruction="s" * 10_000).affinity.endswith("s\nhi")
    assert (found.stream_form, inbound(stream="array").stream_form, inbound(stream="array").stream) == ("sse", "array", True)
    assert not inbound(stream="").stream


def test_both_spellings_mean_the_same() -> None:
    camel = inbound(
        systemInstruction={"parts": [{"text": "s"}]},
        generationConfig={"maxOutputTokens": 5, "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 9}},
        tools=[{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"properties": {"a_b": {}}}}]}],
        contents=[{"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a_b": 1}}, "thoughtSignature": "QUJD"}]}],
    ).chat()
    snake = inbound(
        system_instruction={"parts": [{"text": "s"}]},
        generation_config={"max_output_tokens": 5, "thinking_config": {"include_thoughts": True, "thinking_budget": 9}},
        tools=[{"function_declarations": [{"name": "f", "parameters_json_schema": {"properties": {"a_b": {}}}}]}],
        contents=[{"role": "model", "parts": [{"function_call": {"name": "f", "args": {"a_b": 1}}, "thought_signature": "QUJD"}]}],
    ).chat()
    assert camel == snake
    assert camel.tools[0].parameters == {"properties": {"a_b": {}}}
    assert camel.messages[1].parts == (ToolCall(id="call_0_0_f", name="f", arguments='{"a_b":1}', signature="QUJD"),)


def test_a_system_instruction_may_be_a_string() -> None:
    assert inbound(systemInstruction="be brief").chat().messages[0] == Message(role="system", parts=text("be brief"))


def test_the_older_schema_language_becomes_json_schema() -> None:
    schema = {
        "type": "OBJECT",
        "nullable": True,
        "properties": {
            "type": {"type": "STRING", "enum": ["A"], "format": "enum", "nullable": True},
            "items": {"type": "ARRAY", "items": {"type": "INTEGER", "nullable": True}, "min_items": "2"},
            "either": {"any_of": [{"type": "NUMBER"}, {"type": "TYPE_UNSPECIFIED"}]},
        },
        "required": ["type"],
        "property_ordering": ["type"],
        "example": {},
    }
    assert to_json_schema(schema) == {
        "type": ["object", "null"],
        "properties": {
            "type": {"anyOf": [{"type": "string", "enum": ["A"], "format": "enum"}, {"type": "null"}]},
            "items": {"type": "array", "items": {"type": ["integer", "null"]}, "minItems": 2},
            "either": {"anyOf": [{"type": "number"}, {}]},
        },
        "required": ["type"],
        "examples": [{}],
    }


def test_enums_may_come_as_numbers() -> None:
    """As google-generativeai writes them (``$alt=json;enum-encoding=int``)."""
    parameters = {"type": 6, "properties": {"n": {"type": 5, "items": {"type": 3}}, "on": {"type": 4}, "x": {"type": 1}}, "required": ["n"]}
    found = inbound(
        tools=[{"functionDeclarations": [{"name": "f", "parameters": parameters}]}],
        toolConfig={"functionCallingConfig": {"mode": 2}},
        safetySettings=[{"category": 7, "threshold": 4}],
        generationConfig={"responseMimeType": "application/json", "responseSchema": {"type": 6, "properties": {"name": {"type": 1}}}},
    ).chat()
    assert found.tools[0].parameters == {
        "type": "object",
        "properties": {
            "n": {"type": "array", "items": {"type": "integer"}},
            "on": {"type": "boolean"},
            "x": {"type": "string"},
        },
        "required": ["n"],
    }
    assert found.tool_choice == ToolChoice(mode="required")
    assert not found.extras
    assert found.response_format is not None
    assert found.response_format.schema == {"type": "object", "properties": {"name": {"type": "string"}}}
    one = DIALECT.decode_request(b'{"content": {"parts": [{"text": "a"}]}, "taskType": 1}', {"kind": "embeddings", "model": "m"})
    assert one.embedding is not None
    assert one.embedding().left_out == ("taskType",)


def test_what_gemini_cli_sends_has_no_extras() -> None:
    found = DIALECT.decode_request(json.dumps(GEMINI_CLI), {"kind": "chat", "model": "any", "stream": "sse"}).chat()
    assert found.extras == {}
    assert found.hints == {"generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64}}
    assert (found.temperature, found.top_p, found.top_k) == (None, None, None)
    assert found.reasoning == Reasoning(effort="high", include=True)
    assert WIRE.encode_request(found, LEVEL)["generationConfig"] == GEMINI_CLI["generationConfig"]
    assert found.messages[3].parts == (
        Thinking(text="Looking", signature="QUJD", wire="gemini_generate"),
        ToolCall(id="call_2_1_ls", name="ls", arguments='{"path":"."}'),
        ToolCall(id="call_2_2_ls", name="ls", arguments='{"path":"/"}'),
    )
    assert found.messages[4].parts == (
        ToolResult(call_id="call_2_1_ls", name="ls", content=text("a")),
        ToolResult(call_id="call_2_2_ls", name="ls", content=text("no"), is_error=True),
    )


@pytest.mark.parametrize("thinking", ["none", "budget", "level", "adaptive", "effort"])
@pytest.mark.parametrize("wire", sorted(wires))
def test_what_gemini_cli_sends_can_be_said_in_every_format(wire: str, thinking: str) -> None:
    found = DIALECT.decode_request(json.dumps(GEMINI_CLI), {"kind": "chat", "model": "any", "stream": "sse"}).chat()
    assert json.dumps(wires.get(wire).encode_request(found, ModelFacts(upstream_id="x", thinking=thinking)))


def test_what_only_loosens_or_labels_is_a_hint_and_what_tightens_is_not() -> None:
    loose = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    tight = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_LOW_AND_ABOVE"}]
    found = inbound(safetySettings=loose, labels={"team": "x"}, generationConfig={"mediaResolution": "LOW"}).chat()
    assert (found.extras, found.hints.keys()) == ({}, {"safetySettings", "labels", "generationConfig"})
    found = inbound(safetySettings=tight, cachedContent="c", brandNew=1, generationConfig={"responseModalities": ["AUDIO"]}).chat()
    assert found.extras.keys() == {"safetySettings", "cachedContent", "brandNew", "generationConfig"}
    assert WIRE.encode_request(found, FACTS)["generationConfig"] == {"responseModalities": ["AUDIO"]}
    with pytest.raises(UnsupportedParameter) as caught:
        WIRE.encode_request(chat(extras={"logit_bias": {}}, origin="openai_chat"), FACTS)
    assert caught.value.param == "logit_bias"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, Image(media_type="image/png", data="AAAA")),
        ({"inlineData": {"mimeType": "image/png", "data": "-_A="}}, Image(media_type="image/png", data="+/A=")),
        ({"inline_data": {"mime_type": "audio/mpeg", "data": "AAAA"}}, Audio(data="AAAA", format="mp3")),
        ({"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}, Document(media_type="application/pdf", data="AAAA")),
        (
            {"fileData": {"mimeType": "image/png", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}},
            Image(media_type="image/png", file_id="https://generativelanguage.googleapis.com/v1beta/files/a"),
        ),
        ({"fileData": {"mimeType": "image/png", "fileUri": "https://e.org/a"}}, Image(media_type="image/png", url="https://e.org/a")),
        ({"text": "x", "mediaResolution": {"level": "LOW"}}, Text(text="x")),
    ],
)
def test_parts_of_a_caller(part: dict[str, Any], expected: Part) -> None:
    assert inbound(contents=[{"parts": [part]}]).chat().messages[0].parts == (expected,)


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"text": "x", "videoMetadata": {"fps": 1}},
    ],
)
def test_parts_only_this_format_knows_travel_whole(part: dict[str, Any]) -> None:
    found = inbound(contents=[{"parts": [part]}]).chat()
    assert found.messages[0].parts == (Opaque(wire="gemini_generate", raw=part),)
    assert WIRE.encode_request(found, FACTS)["contents"] == [{"role": "user", "parts": [part]}]


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto")),
        ({"mode": "NONE"}, ToolChoice(mode="none")),
        ({"mode": "ANY"}, ToolChoice(mode="required")),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice(mode="tool", name="f")),
        ({"mode": "any", "allowed_function_names": ["f", "g"]}, ToolChoice(mode="required", allowed=("f", "g"))),
        ({"mode": "VALIDATED"}, ToolChoice(mode="auto")),
        ({}, None),
    ],
)
def test_tool_choice(config: dict[str, Any], choice: ToolChoice | None) -> None:
    assert inbound(toolConfig={"functionCallingConfig": config}).chat().tool_choice == choice


@pytest.mark.parametrize("count", ["²", "9" * 5000, "", "-1"])
def test_a_count_that_is_no_64_bit_number_is_left_to_the_provider(count: str) -> None:
    assert to_json_schema({"type": "ARRAY", "maxItems": count}) == {"type": "array", "maxItems": count}
