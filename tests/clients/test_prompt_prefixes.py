"""Every turn of a coding agent begins with the bytes of the one before, at every provider, so that its prompt cache hits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.upstream import WIRES, Upstream

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "limit": {"type": "integer"}}, "required": ["path"]}
LISTS = {"openai_chat": "messages", "openai_responses": "input", "anthropic_messages": "messages", "gemini_generate": "contents"}
USER = json.dumps({"device_id": "d" * 64, "account_uuid": "a" * 36, "session_id": "s" * 36})


def messages_agent(turn: int) -> tuple[str, dict[str, Any]]:
    """Its first system block changes with every request, and its mark for the cache moves on."""
    mark = {"cache_control": {"type": "ephemeral"}}
    asked: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": "Read a.py."}]}
    messages = [asked]
    if turn == 1:
        asked["content"][0] |= mark
    if turn > 1:
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "x = 1"}], **mark}
        call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a.py", "limit": 5}}
        messages += [{"role": "assistant", "content": [{"type": "text", "text": "Yes."}, call]}, {"role": "user", "content": [result]}]
    system = [
        {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1.0; cc_entrypoint=cli; cch={turn:05x};"},
        {"type": "text", "text": "You are an agent.", **mark},
        {"type": "text", "text": "Use tools.", **mark},
    ]
    tools = [{"name": name, "description": name, "input_schema": SCHEMA} for name in ("Read", "mcp__files__list_" + "x" * 70)]
    return "/v1/messages", {"system": system, "messages": messages, "tools": tools, "max_tokens": 900, "metadata": {"user_id": USER}}


def responses_agent(turn: int) -> tuple[str, dict[str, Any]]:
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandboxed."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Read a.py."}]},
    ]
    if turn > 1:
        items += [
            {"type": "function_call", "call_id": "call_1", "name": "shell", "arguments": '{"path":"a.py","limit":5}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "x = 1"},
        ]
    tools = [{"type": "function", "name": "shell", "description": "Runs.", "strict": False, "parameters": SCHEMA}]
    more = {
        "instructions": "You are an agent.",
        "store": False,
        "include": [],
        "prompt_cache_key": "session-1",
        "parallel_tool_calls": True,
    }
    return "/v1/responses", {"input": items, "tools": tools, "tool_choice": "auto", **more}


def chat_agent(turn: int) -> tuple[str, dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are an agent."}, {"role": "user", "content": "Read a.py."}]
    if turn > 1:
        call = {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": '{"path":"a.py","limit":5}'}}
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "x = 1"},
        ]
    tools = [{"type": "function", "function": {"name": "read", "description": "Reads.", "parameters": SCHEMA}}]
    return "/v1/chat/completions", {"messages": messages, "tools": tools, "max_tokens": 900}


def gemini_agent(turn: int) -> tuple[str, dict[str, Any]]:
    contents: list[dict[str, Any]] = [
        {"role": "user", "parts": [{"text": "Setting."}]},
        {"role": "user", "parts": [{"text": "Read a.py."}]},
    ]
    if turn > 1:
        contents += [
            {"role": "model", "parts": [{"functionCall": {"name": "read_file", "args": {"path": "a.py", "limit": 5}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "read_file", "response": {"output": "x = 1"}}}]},
        ]
    tools = [{"functionDeclarations": [{"name": "read_file", "description": "Reads.", "parametersJsonSchema": SCHEMA}]}]
    return "gemini", {"systemInstruction": {"parts": [{"text": "You are an agent."}]}, "contents": contents, "tools": tools}


AGENTS = {
    "anthropic_messages": messages_agent, "openai_responses": responses_agent, "openai_chat": chat_agent, "gemini_generate": gemini_agent,
}  # fmt: skip


ON: dict[str, list[dict[str, Any]]] = {
    "anthropic_messages": [{"role": "assistant", "content": "One."}, {"role": "user", "content": "Go on."}],
    "openai_chat": [{"role": "assistant", "content": "One."}, {"role": "user", "content": "Go on."}],
    "openai_responses": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "One."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on."}]},
    ],
    "gemini_generate": [{"role": "model", "parts": [{"text": "One."}]}, {"role": "user", "parts": [{"text": "Go on."}]}],
}


def sent(gateway: GatewayServer, upstream: Upstream, dialect: str, wire: str, turn: int) -> bytes:
    path, body = AGENTS[dialect](turn)
    if turn == 3:
        body[LISTS[dialect]] += ON[dialect]
    model = f"{WIRES[wire][0]}/any"
    if path == "gemini":
        path = f"/v1beta/models/{model}:generateContent"
    else:
        body = {"model": model, **body}
    count = len(upstream.asked)
    gateway.client(dialect).send(path, body, False, {"x-cogo-session": "session-1"})
    assert len(upstream.asked) == count + 1
    gateway.forget()
    return upstream.asked[-1].body


def without_marks(value: Any) -> Any:
    """Where the cache ends is told to hosts that are asked for it; it is no part of the prompt."""
    if isinstance(value, dict):
        return {name: without_marks(one) for name, one in value.items() if name != "cache_control"}
    return [without_marks(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("wire", LISTS)
@pytest.mark.parametrize("dialect", AGENTS)
def test_a_turn_begins_as_the_one_before(gateway: GatewayServer, replaying: Upstream, dialect: str, wire: str, turn: int) -> None:
    replaying.serve(b"{}", status=400)
    first, second = (sent(gateway, replaying, dialect, wire, at) for at in (turn, turn + 1))
    assert first != second
    one, two = (without_marks(json.loads(body)) for body in (first, second))
    said = LISTS[wire]
    assert list(one) == list(two), "the fields keep their order"
    if dialect == wire == "anthropic_messages":
        # Its own provider wants the changing block, and does not count it.
        one["system"], two["system"] = one["system"][1:], two["system"][1:]
    assert {name: value for name, value in one.items() if name != said} == {name: value for name, value in two.items() if name != said}
    head, whole = (json.dumps(body[said], separators=(",", ":")) for body in (one, two))
    assert whole.startswith(head.removesuffix("]")), "every message of the turn before, byte for byte"
    assert len(two[said]) > len(one[said])
    if dialect != "anthropic_messages":
        # And the very bytes, up to the end of its last message.
        end = first.index(json.dumps(one[said], separators=(",", ":"), ensure_ascii=False)[:-1].encode()) if wire != dialect else 0
        assert second[:end] == first[:end]


@pytest.mark.parametrize("dialect", [one for one in AGENTS if one != "openai_responses"])
def test_openai_is_told_of_the_session_in_both_turns(gateway: GatewayServer, replaying: Upstream, dialect: str) -> None:
    replaying.serve(b"{}", status=400)
    keys = {json.loads(sent(gateway, replaying, dialect, "openai_responses", turn))["prompt_cache_key"] for turn in (1, 2)}
    assert len(keys) == 1
    assert keys.pop()


def test_marks_for_the_cache_reach_hosts_that_take_them_and_no_others(gateway: GatewayServer, replaying: Upstream) -> None:
    replaying.serve(b"{}", status=400)
    assert b"cache_control" in sent(gateway, replaying, "anthropic_messages", "anthropic_messages", 1)
    for wire in ("openai_chat", "openai_responses", "gemini_generate"):
        assert b"cache_control" not in sent(gateway, replaying, "anthropic_messages", wire, 1)
    gateway.rows.provider("takes-marks", f"{replaying.url}/v1", preset="openrouter")
    gateway.refresh()
    count = len(replaying.asked)
    _, body = messages_agent(1)
    gateway.client("anthropic_messages").send("/v1/messages", {"model": "takes-marks/anthropic/claude-sonnet-4.5", **body}, False)
    gateway.forget()
    assert b"cache_control" in replaying.asked[count].body
