"""What a client keeps in its history although no format has it so: its own host reads it as it came, everybody else in words."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import Document, Image, Thinking, ToolCall, ToolResult
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.wires import Edits, ModelFacts, dialects, wires

FORMATS = ("anthropic_messages", "gemini_generate", "openai_chat", "openai_responses")
FACTS = ModelFacts(upstream_id="m")
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg"
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
GO = {"role": "user", "content": "go on"}


def chat(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}, *messages]}


def claude(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}
    before = [call] if role == "user" else []
    after = {"role": "assistant", "content": "well"}
    messages = [{"role": "user", "content": "hi"}, *before, {"role": role, "content": list(blocks)}, after, GO]
    return {"model": "m", "max_tokens": 9, "messages": messages}


def gemini(role: str, part: dict[str, Any]) -> dict[str, Any]:
    call = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
    before = [call] if "functionResponse" in part else []
    contents = [*before, {"role": role, "parts": [part]}, {"role": "model", "parts": [{"text": "well"}]}]
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, *contents, {"role": "user", "parts": [{"text": "go on"}]}]}


def responses(*items: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "input": [{"role": "user", "content": "hi"}, *items, {"role": "assistant", "content": "well"}, GO]}


def said(part: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return {"role": "user", "content": [part, {"type": "text", "text": "see"}]}, {"role": "assistant", "content": "ok"}, GO


OUTPUT = {"type": "function_call_output", "call_id": "5", "output": "kept"}
# The caller's format, its request, what every other provider has to hear of it.
ODD: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "a video of Qwen": ("openai_chat", chat(*said({"type": "video_url", "video_url": {"url": "https://e.org/v.mp4"}})), ("v.mp4", "see")),
    "a document of Mistral": ("openai_chat", chat(*said({"type": "document_url", "document_url": "https://e.org/d.pdf"})), ("d.pdf",)),
    "a file of the other format": ("openai_chat", chat(*said({"type": "input_file", "file_id": "file-7"})), ("see",)),
    "a file of assistants": ("openai_chat", chat(*said({"type": "image_file", "image_file": {"file_id": "file-7"}})), ("file-7",)),
    "a text that is null": ("openai_chat", chat(*said({"type": "text", "text": None})), ("see",)),
    "a picture that is null": ("openai_chat", chat(*said({"type": "image_url", "image_url": None})), ("see",)),
    "thoughts of Mistral": (
        "openai_chat",
        chat({"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                                               {"type": "text", "text": "kept"}]}, GO),
        ("kept",),
    ),
    "thoughts as an object": ("openai_chat", chat({"role": "assistant", "content": "kept", "reasoning": {"effort": "low"}}, GO), ("kept",)),
    "sound of the model": ("openai_chat", chat({"role": "assistant", "content": None, "audio": {"id": "audio_1"}}, GO), ("sound",)),
    "sound with its words": (
        "openai_chat",
        chat({"role": "assistant", "content": None, "audio": {"id": "audio_1", "data": "A" * 99, "transcript": "kept"}}, GO),
        ("kept",),
    ),
    "an answer that was begun": ("openai_chat", chat({"role": "assistant", "content": "kept", "prefix": True}, GO), ("kept",)),
    "a call of a kind of its own": (
        "openai_chat", chat({"role": "assistant", "tool_calls": [{"id": "a", "type": "mcp", "mcp": {"name": "kept"}}]}, GO), ("kept",),
    ),
    "arguments that are text": (
        "anthropic_messages", claude("assistant", {"type": "tool_use", "id": "b", "name": "f", "input": "kept"}), ("kept",),
    ),
    "a thought without its text": (
        "anthropic_messages",
        claude("assistant", {"type": "thinking", "thinking": None, "signature": None}, {"type": "text", "text": "kept"}),
        ("kept",),
    ),
    "an unknown mark for the cache": (
        "anthropic_messages", claude("assistant", {"type": "text", "text": "kept", "cache_control": {"type": "ephemeral", "ttl": "9d"}}),
        ("kept",),
    ),
    "a picture without its bytes": ("anthropic_messages", claude("user", {"type": "image", "source": None}), ("go on",)),
    "a block without type": ("anthropic_messages", claude("user", {"note": "kept"}), ("kept",)),
    "a result that is an object": (
        "anthropic_messages", claude("user", {"type": "tool_result", "tool_use_id": "a", "content": {"found": "kept"}}), ("kept",),
    ),
    "a result of bare strings": (
        "anthropic_messages", claude("user", {"type": "tool_result", "tool_use_id": "a", "content": ["kept"]}), ("kept",),
    ),
    "a result on the model's side": (
        "anthropic_messages", claude("assistant", {"type": "tool_result", "tool_use_id": "z", "content": [{"note": "kept"}]}), ("kept",),
    ),
    "a part that says nothing": ("gemini_generate", gemini("user", {"text": None}), ("go on",)),
    "arguments of Gemini that are text": ("gemini_generate", gemini("model", {"functionCall": {"name": "f", "args": "kept"}}), ("kept",)),
    "an answer that is text": ("gemini_generate", gemini("user", {"functionResponse": {"name": "f", "response": "kept"}}), ("kept",)),
    "a call on the user's side": (
        "gemini_generate", gemini("user", {"functionCall": {"name": "f", "args": {"word": "kept"}, "partialArgs": []}}), ("kept",),
    ),
    "a call without arguments": (
        "openai_responses", responses({"type": "function_call", "call_id": "5", "name": "f", "arguments": None}, OUTPUT), ("kept",),
    ),
    "a call whose id is a number": (
        "openai_responses", responses({"type": "function_call", "call_id": 5, "name": "f", "arguments": "{}"}, OUTPUT), ("kept",),
    ),
    "a call without a name": ("openai_responses", responses({"type": "function_call", "call_id": "5", "arguments": "kept"}), ("kept",)),
    "an output without its call": ("openai_responses", responses({"type": "function_call_output", "output": "kept"}), ("kept",)),
    "content that is one part": (
        "openai_responses", responses({"role": "user", "content": {"type": "input_text", "text": "kept"}}), ("kept",),
    ),
    "a part of Responses without type": ("openai_responses", responses({"role": "assistant", "content": [{"text": "kept"}]}), ("kept",)),
    "a picture of Responses that is null": (
        "openai_responses", responses({"role": "user", "content": [{"type": "input_image", "image_url": None}]}), ("go on",),
    ),
}  # fmt: skip


def read(caller: str, body: dict[str, Any]) -> Any:
    return dialects.get(caller).decode_request(json.dumps(body), {"kind": "chat", "model": "m", "stream": ""})


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("name", ODD)
def test_nothing_in_a_history_ends_the_session(name: str, wire: str) -> None:
    caller, body, words = ODD[name]
    inbound = read(caller, body)
    if wire == caller:
        own = json.loads(wires.get(wire).edit_request(inbound.body, Edits(facts=FACTS, stream=False)))
        assert own | {"model": "m"} == body | {"model": "m"}
        return
    sent = json.dumps(wires.get(wire).encode_request(inbound.chat(), FACTS)).decode()
    assert [word for word in words if word not in sent] == []
    assert "opaque" not in sent


@pytest.mark.parametrize("name", ["a video of Qwen", "a file of assistants"])
def test_what_is_asked_just_now_is_still_refused_by_its_place(name: str) -> None:
    caller, body, _ = ODD[name]
    with pytest.raises(InvalidRequest) as caught:
        read(caller, body | {"messages": body["messages"][:2]}).chat()
    assert caught.value.param == "messages[1].content[0].type"


def test_what_a_single_host_calls_otherwise_is_what_it_is() -> None:
    found = read("openai_chat", ODD["a document of Mistral"][1]).chat()
    assert [part.url for part in found.messages[1].parts if isinstance(part, Document)] == ["https://e.org/d.pdf"]
    found = read("openai_chat", ODD["thoughts of Mistral"][1]).chat()
    assert [part.text for part in found.messages[1].parts if isinstance(part, Thinking)] == ["hm"]


@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "openai_chat"])
def test_a_picture_that_a_chat_model_drew_goes_on_as_a_picture(wire: str) -> None:
    drawn = {"role": "assistant", "content": "here", "images": [{"type": "image_url", "image_url": {"url": PICTURE}}]}
    sent = wires.get(wire).encode_request(read("openai_chat", chat(drawn, GO)).chat(), FACTS)
    again = read(wire, json.loads(json.dumps(sent))).chat()
    assert [type(part) for message in again.messages for part in message.parts if isinstance(part, Image)] == [Image]


VIDEO = {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}


@pytest.mark.parametrize(
    "part", [VIDEO, {"fileData": {"mimeType": "video/mp4", "fileUri": "files/x"}}, {"text": "video/mp4"}, {"odd": "video/mp4"}]
)
@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "gemini_generate"])
def test_a_result_of_gemini_with_what_no_other_format_holds_stays_the_result_of_its_call(part: dict[str, Any], wire: str) -> None:
    answer = {"functionResponse": {"name": "f", "response": {"output": "kept"}, "parts": [part]}}
    body = gemini("user", answer)
    body["contents"] = body["contents"][:3]
    sent = wires.get(wire).encode_request(read("gemini_generate", body).chat(), FACTS)
    again = read(wire, json.loads(json.dumps(sent))).chat()
    parts = [one for message in again.messages for one in message.parts]
    (call,) = [one for one in parts if isinstance(one, ToolCall)]
    (result,) = [one for one in parts if isinstance(one, ToolResult)]
    assert result.call_id == call.id
    text = json.dumps(sent).decode()
    assert "kept" in text
    assert "video/mp4" in text


LONE = {"contents": {"parts": {"text": "hi"}}, "systemInstruction": {"parts": {"text": "Be brief."}}}


@pytest.mark.parametrize("wire", FORMATS)
def test_a_lone_object_is_a_list_of_one_for_gemini(wire: str) -> None:
    """As Google's own first examples have it: https://ai.google.dev/gemini-api/docs/text-generation"""
    inbound = read("gemini_generate", LONE)
    if wire == "gemini_generate":
        assert json.loads(wires.get(wire).edit_request(inbound.body, Edits(facts=FACTS, stream=False))) == LONE
        return
    sent = json.dumps(wires.get(wire).encode_request(inbound.chat(), FACTS)).decode()
    assert "Be brief." in sent
    assert '"hi"' in sent
