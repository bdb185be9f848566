"""Items of the Responses format that only its providers know: untouched on their own wire, in words on the others, never refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayServer

HELLO = {"role": "user", "content": "hello"}
# What stands in the histories of agents, loosely typed on purpose; and a word that must reach every model.
ITEMS: list[tuple[dict[str, Any], str]] = [
    ({"type": "tool_search_call", "call_id": "t", "execution": "client", "status": "completed", "arguments": {"query": "b-17"}}, "b-17"),
    ({"type": "tool_search_output", "call_id": "t", "tools": [{"type": "function", "name": "find_b17"}]}, "find_b17"),
    ({"type": "mcp_list_tools", "id": "m", "server_label": "deep-wiki", "tools": [{"name": "ask", "input_schema": {}}]}, "deep-wiki"),
    ({"type": "mcp_call", "id": "m", "server_label": "w", "name": "ask", "arguments": "{}", "output": "forty-two"}, "forty-two"),
    ({"type": "mcp_approval_request", "id": "m", "server_label": "w", "name": "wipe-it", "arguments": "{}"}, "wipe-it"),
    ({"type": "mcp_approval_response", "approval_request_id": "m", "approve": False, "reason": "too-risky"}, "too-risky"),
    ({"type": "web_search_call", "id": "w", "status": "completed", "action": {"type": "search", "query": "tea-prices"}}, "tea-prices"),
    ({"type": "file_search_call", "id": "f", "queries": ["q-9"], "results": None}, "q-9"),
    ({"type": "code_interpreter_call", "id": "c", "code": "print(6*7)", "outputs": [{"type": "logs", "logs": "42"}]}, "print(6*7)"),
    ({"type": "local_shell_call", "id": "l", "call_id": "l", "action": {"type": "exec", "command": ["ls", "-la"]}}, "-la"),
    ({"type": "local_shell_call_output", "id": "l", "output": "total-7"}, "total-7"),
    ({"type": "shell_call_output", "call_id": "s", "output": [{"stdout": "built-ok", "outcome": {"type": "exit"}}]}, "built-ok"),
    ({"type": "apply_patch_call", "call_id": "a", "operation": {"type": "update_file", "path": "a-b.py", "diff": "@@"}}, "a-b.py"),
    ({"type": "computer_call", "call_id": "c", "action": {"type": "click", "x": 31, "y": 2}, "pending_safety_checks": []}, "click"),
    ({"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "file_id": "file-3"}}, "file-3"),
    ({"type": "image_generation_call", "id": "i", "result": "A" * 9000, "revised_prompt": "one-cat"}, "one-cat"),
    ({"type": "compaction", "id": "k", "encrypted_content": "gAAAAAB"}, "compaction"),
    ({"type": "brand_new_item", "content": {"deep": ["news-5"]}, "summary": 7, "arguments": [1], "id": {"odd": 1}}, "news-5"),
]
WIRES = ("chat", "anthropic", "gemini")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("item", "word"), ITEMS, ids=lambda value: value["type"] if isinstance(value, dict) else "")
def test_an_item_passes_on_its_own_wire_as_it_is(gateway: GatewayServer, item: dict[str, Any], word: str, stream: bool) -> None:
    mark = gateway.mark
    answer = gateway.ask("openai_responses", "responses/m", stream=stream, input=[HELLO, item, HELLO])
    assert answer.status == 200, answer.body
    assert json.loads(gateway.received(mark)[0]["body"])["input"] == [HELLO, item, HELLO]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("item", "word"), ITEMS, ids=lambda value: value["type"] if isinstance(value, dict) else "")
def test_an_item_says_the_same_in_words_on_other_wires(gateway: GatewayServer, item: dict[str, Any], word: str, wire: str) -> None:
    mark = gateway.mark
    answer = gateway.ask("openai_responses", f"{wire}/m", input=[HELLO, item, HELLO])
    assert answer.status == 200, answer.body
    sent = gateway.received(mark)[0]["body"]
    assert word in sent
    assert "AAAAAAAAAA" not in sent
    assert "gAAAAAB" not in sent


LOOSE: list[dict[str, Any]] = [
    {"type": "function_call", "call_id": "a", "name": "f", "arguments": {"q": "word-8"}},
    {"type": "function_call_output", "call_id": "a", "output": [{"type": "brand_new", "thing": "word-8"}]},
    {"type": "function_call_output", "call_id": "a", "output": ["word-8"]},
    {"type": "function_call_output", "call_id": "a", "output": {"found": "word-8"}},
    {"type": "function_call_output", "call_id": "a", "output": 78.25},
    {"role": "user", "content": [{"type": "brand_new", "thing": {"deep": "word-8"}}]},
    {"role": "user", "content": ["word-8"]},
    {"role": "assistant", "content": [{"type": "output_text", "text": "word-8", "annotations": [{"type": "new"}], "logprobs": None}]},
    {"type": "reasoning", "summary": "word-8", "content": {"odd": 1}},
]  # fmt: skip


@pytest.mark.parametrize("wire", ["responses", *WIRES])
@pytest.mark.parametrize("item", LOOSE, ids=lambda item: json.dumps(item)[:60])
def test_a_loosely_typed_item_is_read_as_well_as_it_can_be(gateway: GatewayServer, item: dict[str, Any], wire: str) -> None:
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    history = [HELLO, call, item, HELLO] if item.get("type") == "function_call_output" else [HELLO, item, HELLO]
    if item.get("type") == "function_call":
        history.insert(2, {"type": "function_call_output", "call_id": "a", "output": "x"})
    mark = gateway.mark
    answer = gateway.ask("openai_responses", f"{wire}/m", input=history)
    assert answer.status == 200, answer.body
    sent = gateway.received(mark)[0]["body"]
    assert item["type"] == "reasoning" if wire != "responses" and "word-8" not in sent and "78.25" not in sent else True
    if wire == "responses":
        assert json.loads(sent)["input"] == history


@pytest.mark.parametrize("wire", WIRES)
def test_a_tool_that_only_its_provider_knows_has_any_shape(gateway: GatewayServer, wire: str) -> None:
    odd = {"type": "brand_new", "name": 7, "parameters": [1], "format": "x", "tools": {"a": 1}}
    function = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    mark = gateway.mark
    assert gateway.ask("openai_responses", "responses/m", tools=[odd, function]).status == 200
    assert json.loads(gateway.received(mark)[0]["body"])["tools"] == [odd, function]
    told = gateway.ask("openai_responses", f"{wire}/m", tools=[odd, function])
    assert (told.status, told.headers["x-cogo-left-out"]) == (200, "tools.brand_new")
