"""Whatever a client can have in its history passes on its own wire and is told in words on the others; it never ends the session."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, Image, ToolCall, ToolResult
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires import Edits, ModelFacts, dialects, wires

FORMATS = ("anthropic_messages", "gemini_generate", "openai_chat", "openai_responses")
FACTS = ModelFacts(upstream_id="m")
PNG = "iVBORw0KGgoAAAANSUhEUg"
PDF = "JVBERi0xLjQK"

SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain in Rome"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "web_search_result", "url": "https://e.org/rain", "title": "Rain", "encrypted_content": "E" * 400}],
}
FAILED = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
}
RAN = {
    "type": "bash_code_execution_tool_result",
    "tool_use_id": "srvtoolu_2",
    "content": {"type": "bash_code_execution_result", "stdout": "forty-two\n", "stderr": "a warning", "return_code": 3, "content": []},
}
FETCHED = {
    "type": "web_fetch_tool_result",
    "tool_use_id": "srvtoolu_3",
    "content": {
        "type": "web_fetch_result",
        "url": "https://e.org/page",
        "content": {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "page words"}, "title": "Page"},
    },
}
MCP = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "look_up", "server_name": "crm", "input": {"customer": 17}}
MCP_RESULT = {
    "type": "mcp_tool_result",
    "tool_use_id": "mcptoolu_1",
    "is_error": True,
    "content": [{"type": "text", "text": "no such one"}],
}
TOOLS_FOUND = {
    "type": "tool_search_tool_result",
    "tool_use_id": "srvtoolu_4",
    "content": {"type": "tool_search_tool_search_result", "tool_references": [{"type": "tool_reference", "tool_name": "get_weather"}]},
}
ASSISTANT = [
    (SEARCH, ("web_search", "rain in Rome")),
    (FOUND, ("Rain", "https://e.org/rain")),
    (FAILED, ("max_uses_exceeded",)),
    (RAN, ("forty-two", "a warning", "3")),
    (FETCHED, ("https://e.org/page", "page words")),
    (MCP, ("crm", "look_up", "17")),
    (MCP_RESULT, ("failed", "no such one")),
    (TOOLS_FOUND, ("get_weather",)),
    ({"type": "compaction", "content": "They spoke of rain."}, ("They spoke of rain.",)),
    ({"type": "brand_new_block", "note": "keep this", "signature": "S" * 50}, ("brand_new_block", "keep this")),
]  # fmt: skip
USER = [
    ({"type": "search_result", "source": "https://e.org", "title": "T", "content": [{"type": "text", "text": "found words"}],
      "citations": {"enabled": True}}, ("found words", "https://e.org")),
    ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "doc words"}, "title": "D", "context": "old",
      "citations": {"enabled": True}}, ("doc words", "D", "old")),
    ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "pieces"}]}, "title": "D"}, ("pieces", "D")),
    ({"type": "container_upload", "file_id": "file_77"}, ("file_77",)),
    ({"type": "document", "source": {"type": "file", "file_id": "file_78"}}, ("file_78",)),
    ({"type": "image", "source": {"type": "file", "file_id": "file_79"}}, ("file_79",)),
    ({"type": "brand_new_block", "note": "keep this"}, ("brand_new_block", "keep this")),
]  # fmt: skip
RESULTS = [
    ([{"type": "tool_reference", "tool_name": "Read"}], ("Read",)),
    ([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "in a result"}, "citations": {"enabled": True}}],
     ("in a result",)),
    ([{"type": "search_result", "source": "s", "title": "T", "content": [{"type": "text", "text": "sr"}], "citations": {"enabled": True}}],
     ("sr",)),
    ([{"type": "brand_new_block", "note": "keep this"}], ("keep this",)),
]  # fmt: skip


def messages(*turns: tuple[str, list[Any]]) -> bytes:
    return json.dumps({"model": "m", "max_tokens": 99, "messages": [{"role": role, "content": blocks} for role, blocks in turns]})


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def sent_to(wire: str, body: bytes, caller: str = "anthropic_messages") -> str:
    chat = dialects.get(caller).decode_request(body, {"kind": "chat", "model": "m", "stream": ""}).chat()
    out = json.dumps(wires.get(wire).encode_request(chat, FACTS))
    dialects.get(wire).decode_request(out, {"kind": "chat", "model": "m", "stream": ""}).chat()
    return out.decode()


def told(wire: str, body: bytes, words: tuple[str, ...], caller: str = "anthropic_messages") -> None:
    sent = sent_to(wire, body, caller)
    assert [word for word in words if word not in sent] == []
    assert "opaque" not in sent
    assert "EEEE" not in sent
    assert "SSSS" not in sent


@pytest.mark.parametrize(("block", "words"), ASSISTANT)
@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "anthropic_messages"])
def test_what_claude_did_by_itself_is_told_to_others(block: dict[str, Any], words: tuple[str, ...], wire: str) -> None:
    body = messages(("user", [text("hi")]), ("assistant", [text("a"), block, text("z")]), ("user", [text("go on")]))
    told(wire, body, words)
    own = wires.get("anthropic_messages").edit_request(body, Edits(facts=FACTS, stream=False))
    assert json.loads(own)["messages"][1]["content"][1] == block


def test_what_is_told_in_words_stands_on_lines_of_its_own() -> None:
    blocks = [text("I look."), SEARCH, FOUND, text("Found"), text(" it.")]
    sent = json.loads(sent_to("openai_chat", messages(("user", [text("hi")]), ("assistant", blocks), ("user", [text("go on")]))).encode())
    said = sent["messages"][1]["content"].split("\n")
    assert (said[0], said[-1]) == ("I look.", "Found it.")
    assert len(said) == 5


@pytest.mark.parametrize(("block", "words"), USER)
@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "anthropic_messages"])
def test_what_the_user_once_sent_is_told_to_others(block: dict[str, Any], words: tuple[str, ...], wire: str) -> None:
    told(wire, messages(("user", [block, text("hi")]), ("assistant", [text("a")]), ("user", [text("go on")])), words)


@pytest.mark.parametrize(("content", "words"), RESULTS)
@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "anthropic_messages"])
def test_odd_tool_results_are_told_to_others(content: list[Any], words: tuple[str, ...], wire: str) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}
    told(wire, messages(("user", [text("hi")]), ("assistant", [call]), ("user", [result])), words)


@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "anthropic_messages"])
def test_a_call_out_of_a_code_run_still_has_its_result(wire: str) -> None:
    call = {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "f",
        "input": {"x": 1},
        "caller": {"type": "code_execution_20250825", "tool_id": "s"},
    }
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
    body = messages(("user", [text("hi")]), ("assistant", [call]), ("user", [result])).decode()
    found = dialects.get(wire).decode_request(sent_to(wire, body.encode()).encode(), {"kind": "chat", "model": "m", "stream": ""}).chat()
    parts = [part for message in found.messages for part in message.parts]
    assert [part.id for part in parts if isinstance(part, ToolCall)] == [part.call_id for part in parts if isinstance(part, ToolResult)]


GEMINI = [
    ({"executableCode": {"language": "PYTHON", "code": "print(42)"}}, ("print(42)", "python")),
    ({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}}, ("42", "ok")),
    ({"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/x"}}, ("video/mp4", "https://youtu.be/x")),
    ({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}, ("video/mp4",)),
    ({"inlineData": {"mimeType": "application/x-odd", "data": "AAAA"}}, ("application/x-odd",)),
    ({"inlineData": {"data": "AAAA"}}, ("unknown",)),
    ({"brandNew": {"note": "keep this"}}, ("brandNew", "keep this")),
    ({"text": "seen words", "videoMetadata": {"fps": 1}}, ("seen words",)),
    ({"fileData": {"mimeType": "image/png", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}, ("files/abc",)),
]  # fmt: skip


@pytest.mark.parametrize(("part", "words"), GEMINI)
@pytest.mark.parametrize("role", ["user", "model"])
@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "gemini_generate"])
def test_what_only_gemini_knows_is_told_to_others(part: dict[str, Any], words: tuple[str, ...], role: str, wire: str) -> None:
    turns = [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "a"}]},
        {"role": "user", "parts": [{"text": "z"}]},
    ]
    turns[0 if role == "user" else 1]["parts"].append(part)  # type: ignore[attr-defined]
    told(wire, json.dumps({"contents": turns}), words, "gemini_generate")


@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "gemini_generate"])
def test_a_picture_that_the_model_made_goes_on_as_a_picture(wire: str) -> None:
    turns = [
        {"role": "user", "parts": [{"text": "draw"}]},
        {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]},
        {"role": "user", "parts": [{"text": "bigger"}]},
    ]
    sent = sent_to(wire, json.dumps({"contents": turns}), "gemini_generate")
    found = dialects.get(wire).decode_request(sent.encode(), {"kind": "chat", "model": "m", "stream": ""}).chat()
    assert [type(part) for part in found.messages[-1].parts if isinstance(part, Image)] == [Image]


@pytest.mark.parametrize(
    ("caller", "body"),
    [
        ("gemini_generate", {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}]}]}),
        ("anthropic_messages", {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [USER[3][0]]}]}),
        (
            "anthropic_messages",
            {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [USER[5][0], text("what is it?")]}]},
        ),
    ],
)
@pytest.mark.parametrize("wire", FORMATS)
def test_what_is_asked_about_just_now_is_refused_by_name(caller: str, body: dict[str, Any], wire: str) -> None:
    if wire == caller:
        return
    with pytest.raises(UnsupportedParameter) as caught:
        sent_to(wire, json.dumps(body), caller)
    assert (caught.value.param or "").startswith("messages[0]")
    assert "opaque" not in caught.value.message


SHOT = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


@pytest.mark.parametrize("content", [[text("went wrong"), text("badly")], [text("went wrong"), SHOT], [SHOT, text("went wrong")]])
@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "anthropic_messages"])
def test_a_failed_result_keeps_its_mark_in_every_form(content: list[Any], wire: str) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, "is_error": True}
    sent = sent_to(wire, messages(("user", [text("hi")]), ("assistant", [call]), ("user", [result])))
    assert ('"error":"went wrong' if wire == "gemini_generate" else "Error: went wrong") in sent


def test_a_failed_result_with_a_picture_is_only_text_for_claude() -> None:
    blob = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    turns = [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "c", "name": "f", "response": {"error": "broke"}, "parts": [blob]}}]},
    ]
    sent = json.loads(sent_to("anthropic_messages", json.dumps({"contents": turns}), "gemini_generate").encode())
    (result,) = sent["messages"][-1]["content"]
    assert result["is_error"] is True
    assert {block["type"] for block in result["content"]} == {"text"}


@pytest.mark.parametrize("caller", ["openai_chat", "anthropic_messages"])
def test_gemini_fetches_public_addresses_itself(caller: str) -> None:
    url = "https://e.org/a.png?x=1"
    content: list[Any] = [{"type": "image_url", "image_url": {"url": url}}]
    if caller == "anthropic_messages":
        content = [
            {"type": "image", "source": {"type": "url", "url": url}},
            {"type": "document", "source": {"type": "url", "url": url[:-7] + "pdf"}},
        ]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]})
    sent = json.loads(sent_to("gemini_generate", body, caller).encode())
    files = [part["fileData"] for part in sent["contents"][0]["parts"]]
    assert files[0] == {"mimeType": "image/png", "fileUri": url}
    assert [file["mimeType"] for file in files[1:]] == ["application/pdf"] * (len(files) - 1)


def test_chat_request_is_untouched_on_its_own_wire() -> None:
    chat = dialects.get("anthropic_messages").decode_request(messages(("user", [USER[0][0]])), {"kind": "chat"}).chat()
    assert isinstance(chat, ChatRequest)
    assert wires.get("anthropic_messages").encode_request(chat, FACTS)["messages"][0]["content"] == [USER[0][0]]


@pytest.mark.parametrize("wire", [name for name in FORMATS if name != "openai_responses"])
def test_a_reference_without_its_item_says_that_something_stood_there(wire: str) -> None:
    items = [{"role": "user", "content": "hi"}, {"type": "item_reference", "id": "msg_68a"}, {"role": "user", "content": "go on"}]
    sent = sent_to(wire, json.dumps({"model": "m", "input": items}), "openai_responses")
    assert "item_reference" in sent
    assert "go on" in sent
