"""Requests of Gemini's format: what callers send, and what goes to a provider."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
    Audio,
    ChatRequest,
    Document,
    Image,
    Message,
    Opaque,
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
from llm_gateway.core.errors import InvalidJsonBody, InvalidRequest, UnsupportedParameter
from llm_gateway.wires import wires
from llm_gateway.wires._base import Edits, Embedding, Inbound, ModelFacts, Reply
from llm_gateway.wires.gemini_generate import DIALECT, WIRE, decode_count, embeddings, encode_count, encode_count_request
from llm_gateway.wires.gemini_generate.openapi import to_json_schema
from llm_gateway.wires.gemini_generate.signatures import pack

FACTS = ModelFacts(upstream_id="gemini-x")
LEVEL = ModelFacts(upstream_id="gemini-x", thinking="level")
BUDGET = ModelFacts(upstream_id="gemini-x", thinking="budget")
USER = {"role": "user", "parts": [{"text": "hi"}]}
DUMMY = "skip_thought_signature_validator"


def inbound(kind: str = "chat", stream: str = "", **fields: Any) -> Inbound:
    return DIALECT.decode_request(json.dumps({"contents": [USER]} | fields), {"kind": kind, "model": "m", "stream": stream})


def chat(*parts: Part | str, **fields: Any) -> ChatRequest:
    said = tuple(Text(text=part) if isinstance(part, str) else part for part in parts or ("hi",))
    return ChatRequest(model="m", messages=(Message(role="user", parts=said),), **fields)


def talk(*messages: tuple[str, tuple[Part, ...]], **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=tuple(Message(role=role, parts=parts) for role, parts in messages), **fields)  # type: ignore[arg-type]


def text(value: str) -> tuple[Part, ...]:
    return (Text(text=value),)


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


GEMINI_CLI: dict[str, Any] = {
    "contents": [
        {"role": "user", "parts": [{"text": "context"}]},
        {"role": "user", "parts": [{"text": "list files"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Looking", "thought": True, "thoughtSignature": "QUJD"},
                {"functionCall": {"name": "ls", "args": {"path": "."}}, "thoughtSignature": DUMMY},
                {"functionCall": {"name": "ls", "args": {"path": "/"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "ls", "response": {"output": "a"}}},
                {"functionResponse": {"name": "ls", "response": {"error": "no"}}},
            ],
        },
    ],
    "systemInstruction": {"role": "user", "parts": [{"text": "You are an agent."}]},
    "tools": [{"functionDeclarations": [{"name": "ls", "description": "List", "parametersJsonSchema": {"type": "object"}}]}],
    "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64, "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"}},
}


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


def test_a_foreign_conversation() -> None:
    calls: tuple[Part, ...] = (ToolCall(id="c1", name="f", arguments='{"x":1}'), ToolCall(id="c2", name="g", arguments="oops"))
    body = WIRE.encode_request(
        talk(
            ("system", text("A")),
            ("system", text("B")),
            ("user", text("hi")),
            ("assistant", (Thinking(text="hm", signature="s", wire="anthropic_messages"), *calls)),
            ("user", (ToolResult(call_id="c1", content=text("plain")),)),
            ("user", (ToolResult(call_id="c2", content=text('{"ok":true}')), Text(text="go on"))),
            ("system", text("C")),
            tools=(Tool(name="f", parameters={"type": "object"}), Tool(name="p", custom=True)),
            tool_choice=ToolChoice(mode="tool", name="f"),
            parallel_tool_calls=False,
            max_tokens=9,
            n=2,
            stop=("x",),
            seed=3,
        ),
        LEVEL,
    )
    assert body["systemInstruction"] == {"parts": [{"text": "A"}, {"text": "B"}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "hi"}]},
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}, "thoughtSignature": DUMMY},
                {"functionCall": {"id": "c2", "name": "g", "args": {"arguments": "oops"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"result": "plain"}}},
                {"functionResponse": {"id": "c2", "name": "g", "response": {"ok": True}}},
                {"text": "go on"},
                {"text": "<system>\nC\n</system>"},
            ],
        },
    ]
    assert body["generationConfig"] == {"candidateCount": 2, "maxOutputTokens": 9, "stopSequences": ["x"], "seed": 3}
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}
    assert body["tools"][0]["functionDeclarations"][1]["parametersJsonSchema"]["required"] == ["input"]


def test_system_alone_becomes_the_users_turn() -> None:
    assert WIRE.encode_request(talk(("system", text("Say hi"))), FACTS) == {"contents": [{"role": "user", "parts": [{"text": "Say hi"}]}]}


def test_images_in_results_stand_inside_for_new_models_and_beside_for_old_ones() -> None:
    request = chat(ToolResult(call_id="c", name="f", content=(Text(text="see"), Image(data="/9j/", media_type="image/jpeg"))))
    image = {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/"}}
    inside = WIRE.encode_request(request, LEVEL)["contents"][0]["parts"]
    beside = WIRE.encode_request(request, BUDGET)["contents"][0]["parts"]
    assert (len(inside), inside[0]["functionResponse"]["parts"]) == (1, [image])
    assert beside[1] == image


@pytest.mark.parametrize(
    "part",
    [
        Image(url="https://e.org/a.png"),
        Image(file_id="file-1"),
        Document(file_id="file-1"),
        Opaque(wire="anthropic_messages", raw={"type": "x"}),
    ],
)
def test_parts_the_format_does_not_have_are_refused(part: Part) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        WIRE.encode_request(chat("x", part), FACTS)
    assert caught.value.param == "messages[0]"


@pytest.mark.parametrize(
    ("wish", "facts", "expected"),
    [
        (Reasoning(effort="high"), FACTS, None),
        (Reasoning(effort="none"), LEVEL, {"thinkingLevel": "MINIMAL"}),
        (Reasoning(effort="max", include=True), LEVEL, {"includeThoughts": True, "thinkingLevel": "XHIGH"}),
        (Reasoning(budget=4000), LEVEL, {"thinkingLevel": "MEDIUM"}),
        (Reasoning(budget=-1, include=True), LEVEL, {"includeThoughts": True}),
        (Reasoning(effort="low"), BUDGET, {"thinkingBudget": 1024}),
        (Reasoning(effort="none", include=True), BUDGET, {"thinkingBudget": 0}),
        (Reasoning(budget=0, include=True), BUDGET, {"thinkingBudget": 0}),
        (Reasoning(budget=-1), BUDGET, {"thinkingBudget": -1}),
        (Reasoning(effort="low", budget=-1), BUDGET, {"thinkingBudget": 1024}),
    ],
)
def test_how_much_to_think(wish: Reasoning, facts: ModelFacts, expected: dict[str, Any] | None) -> None:
    assert WIRE.encode_request(chat(reasoning=wish), facts).get("generationConfig", {}).get("thinkingConfig") == expected


def test_json_answers() -> None:
    def config(wanted: ResponseFormat) -> Any:
        return WIRE.encode_request(chat(response_format=wanted), FACTS).get("generationConfig")

    assert config(ResponseFormat(kind="text")) is None
    assert config(ResponseFormat(kind="json")) == {"responseMimeType": "application/json"}
    assert config(ResponseFormat(kind="json_schema", schema={"type": "object"}, name="n")) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }


def test_sampling_where_a_model_takes_none() -> None:
    with pytest.raises(UnsupportedParameter):
        WIRE.encode_request(chat(top_p=0.5), ModelFacts(upstream_id="x", sampling=False))


def test_edits_touch_nothing_else() -> None:
    body = b'{"contents":[{"parts":[{"text":"x"}]}],"generation_config":{"max_output_tokens":900,"brand_new":1.0}}'
    assert WIRE.edit_request(body, Edits(facts=FACTS, stream=True)) == body
    edited = WIRE.edit_request(body, Edits(facts=FACTS, stream=True, max_tokens=5))
    assert edited == b'{"contents":[{"parts":[{"text":"x"}]}],"generation_config":{"max_output_tokens":5,"brand_new":1.0}}'
    assert json.loads(WIRE.edit_request(b'{"contents":[]}', Edits(facts=FACTS, stream=True, max_tokens=5)))["generationConfig"] == {
        "maxOutputTokens": 5
    }
    assert b"labels" not in WIRE.edit_request(b'{"contents":[],"labels":{}}', Edits(facts=FACTS, stream=False, drop=("labels",)))


def test_the_model_is_renamed_wherever_it_is_repeated() -> None:
    edits = Edits(facts=FACTS, stream=False)
    inner = json.loads(WIRE.edit_request(b'{"generateContentRequest":{"model":"models/alias","contents":[]}}', edits))
    assert inner["generateContentRequest"]["model"] == "models/gemini-x"
    several = json.loads(WIRE.edit_request(b'{"requests":[{"model":"models/alias","content":{}}]}', edits))
    assert several["requests"] == [{"model": "models/gemini-x", "content": {}}]


def test_thinking_of_other_providers_is_left_out_on_the_way_to_this_one() -> None:
    signature = pack("tok>>>???", None, "openai_responses", "rs_1")
    assert signature is not None
    signature = signature.replace("+", "-").replace("/", "_")
    parts = [{"text": "hm", "thought": True, "thoughtSignature": signature}, {"text": "so"}]
    body = json.dumps({"contents": [{"role": "model", "parts": parts}]})
    assert json.loads(WIRE.edit_request(body, Edits(facts=FACTS, stream=True)))["contents"] == [
        {"role": "model", "parts": [{"text": "so"}]}
    ]
    found = DIALECT.decode_request(body, {"kind": "chat", "model": "m"}).chat()
    assert found.messages[0].parts[0] == Thinking(text="hm", signature="tok>>>???", wire="openai_responses", id="rs_1")


def test_paths() -> None:
    assert WIRE.path("chat", FACTS, False) == "/models/gemini-x:generateContent"
    assert WIRE.path("chat", FACTS, True) == "/models/gemini-x:streamGenerateContent?alt=sse"
    assert WIRE.path("count_tokens", FACTS, False) == "/models/gemini-x:countTokens"
    assert WIRE.path("embeddings", FACTS, False) == "/models/gemini-x:batchEmbedContents"
    assert WIRE.path("chat", ModelFacts(upstream_id="models/a?b"), False) == "/models/a%3Fb:generateContent"


def test_counting() -> None:
    plain = inbound("count_tokens")
    wrapped = inbound(
        "count_tokens", contents=[], generateContentRequest={"model": "models/x", "contents": [USER], "systemInstruction": "s"}
    )
    assert (plain.kind, plain.chat().messages[-1]) == ("count_tokens", wrapped.chat().messages[-1])
    assert wrapped.chat().messages[0].role == "system"
    body = encode_count_request(wrapped.chat(), FACTS)["generateContentRequest"]
    assert body == {"model": "models/gemini-x", "contents": [USER], "systemInstruction": {"parts": [{"text": "s"}]}}
    assert decode_count(encode_count(5)) == 5
    assert decode_count(b"[]") is None


def test_embeddings() -> None:
    embedder = embeddings.GeminiEmbedder()
    reply = Reply(request_id="r", model="m", created=0)
    wish = Embedding(texts=("a", "b"), dimensions=64)
    body = json.dumps(embedder.encode_request(wish, ModelFacts(upstream_id="e-1")))
    found = DIALECT.decode_request(body, {"kind": "embeddings", "model": "e-1"})
    assert (found.kind, found.size, found.needs) == ("embeddings", 2, {"embeddings"})
    assert embeddings.inputs_of(json.loads(body)) == (["a", "b"], 64)
    single = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "outputDimensionality": 3}
    assert embeddings.inputs_of(single) == (["a\nb"], 3)
    assert found.embedding is not None
    assert found.embedding() == wish
    answer = embedder.encode_response([[0.5, 1.0]], None, wish, reply)
    assert embedder.decode_response(answer) == ([[0.5, 1.0]], None)
    one = Embedding(texts=("a",), single=True)
    assert embedder.decode_response(embedder.encode_response([[0.5]], None, one, reply)) == ([[0.5]], None)
    with pytest.raises(UnsupportedParameter):
        embeddings.inputs_of({"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "A"}}]}})
