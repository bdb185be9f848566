"""What goes to a provider in Gemini's format."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import (
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
from llm_gateway.wires._base import Edits, Embedding, ModelFacts, Reply
from llm_gateway.wires.gemini_generate import DIALECT, WIRE, embeddings
from llm_gateway.wires.gemini_generate.signatures import pack
from llm_gateway.wires.gemini_generate.wire import GeminiCounter
from tests.wires.gemini_requests import BUDGET, DUMMY, FACTS, LEVEL, USER, chat, inbound, talk, text


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
    result = ToolResult(call_id="c", name="f", content=(Text(text="see"), Image(data="/9j/", media_type="image/jpeg")))
    request = talk(("assistant", (ToolCall(id="c", name="f", arguments="{}"),)), ("user", (result,)))
    image = {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/"}}
    inside = WIRE.encode_request(request, LEVEL)["contents"][1]["parts"]
    beside = WIRE.encode_request(request, BUDGET)["contents"][1]["parts"]
    assert (len(inside), inside[0]["functionResponse"]["parts"]) == (1, [image])
    assert beside[1] == image


@pytest.mark.parametrize(
    "part",
    [
        Image(url="http://e.org/a.png"),
        Image(url="https://localhost/a.png"),
        Document(url="https://10.0.0.1/a.pdf"),
        Image(file_id="file-1"),
        Document(file_id="file-1"),
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
    counter = GeminiCounter()
    body = counter.encode_request(wrapped.chat(), FACTS)["generateContentRequest"]
    assert body == {"model": "models/gemini-x", "contents": [USER], "systemInstruction": {"parts": [{"text": "s"}]}}
    assert counter.decode_response(counter.encode_response(5)) == 5
    assert counter.decode_response(b"[]") is None


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
