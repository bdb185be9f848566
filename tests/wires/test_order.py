"""A history in which calls and results do not match is put right for every provider: each of them refuses such a thing."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.core import json
from llm_gateway.core.chat import ChatRequest, Message, Part, Text, Thinking, ToolCall, ToolResult
from llm_gateway.simulator.checks.anthropic import check_messages
from llm_gateway.simulator.checks.gemini import check_generate
from llm_gateway.simulator.checks.openai import check_chat, check_responses
from llm_gateway.wires import ModelFacts, dialects, wires

LEVEL = ModelFacts(upstream_id="m", thinking="level")
CHECKS: dict[str, Any] = {
    "anthropic_messages": check_messages,
    "gemini_generate": lambda body: check_generate(body, "gemini-3.8-flash"),
    "openai_chat": check_chat,
    "openai_responses": check_responses,
}


def call(name: str, custom: bool = False) -> ToolCall:
    return ToolCall(id=name, name="f", arguments="{}", custom=custom)


def result(name: str, text: str = "") -> ToolResult:
    return ToolResult(call_id=name, content=(Text(text=text or f"result {name}"),))


def user(*parts: Part) -> Message:
    return Message(role="user", parts=parts or (Text(text="go"),))


def model(*parts: Part) -> Message:
    return Message(role="assistant", parts=parts or (Text(text="well"),))


SYSTEM = Message(role="system", parts=(Text(text="mind"),))
HISTORIES = {
    "no result": [user(), model(call("a")), user()],
    "no result at the end": [user(), model(call("a"))],
    "no result of one of two": [user(), model(call("a"), call("b")), user(result("b"))],
    "no result of a free-text call": [user(), model(call("a", custom=True)), user()],
    "no call": [user(result("a")), model(), user()],
    "no call of one of two": [user(), model(call("a")), user(result("a"), result("b"))],
    "a message between": [user(), model(call("a")), user(), user(result("a"))],
    "an answer between": [user(), model(call("a")), user(), model(), user(result("a"))],
    "a call between": [user(), model(call("a")), model(call("b")), user(result("b")), user(result("a"))],
    "instructions between": [user(), model(call("a")), SYSTEM, user(result("a"))],
    "the result before its call": [user(result("a")), model(call("a")), user()],
    "two results of one call": [user(), model(call("a")), user(result("a"), result("a", "again"))],
    "one id in two turns": [user(), model(call("a")), user(result("a")), model(call("a")), user(result("a", "second"))],
    "words before the results": [user(), model(call("a")), user(Text(text="beside"), result("a"))],
    "a call said by the user": [user(), user(call("a"), Text(text="beside")), user(result("a"))],
    "a result said by the model": [user(), model(call("a"), result("a")), user()],
    "a thought said by the user": [user(Thinking(text="hm"), Text(text="go"))],
}  # fmt: skip


@pytest.mark.parametrize("wire", CHECKS)
@pytest.mark.parametrize("name", HISTORIES)
def test_calls_and_results_match_for_every_provider(name: str, wire: str) -> None:
    history = HISTORIES[name]
    body = wires.get(wire).encode_request(ChatRequest(model="m", messages=tuple(history), max_tokens=99), LEVEL)
    CHECKS[wire](json.loads(json.dumps(body)))
    said = [
        one.text
        for message in history
        for part in message.parts
        for one in (part.content if isinstance(part, ToolResult) else (part,))
        if isinstance(one, Text)
    ]
    sent = json.dumps(body).decode()
    assert [words for words in said if words not in sent] == []
    if name.startswith("no result"):
        assert "No result of this call" in sent


LOST: dict[str, Any] = {
    "anthropic_messages": {
        "model": "m", "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
            {"role": "user", "content": "stop that"},
        ],
    },
    "gemini_generate": {
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"text": "stop that"}]},
        ],
    },
    "openai_chat": {
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "user", "content": "stop that"},
        ],
    },
    "openai_responses": {
        "model": "m",
        "input": [
            {"role": "user", "content": "hi"}, {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"role": "user", "content": "stop that"},
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("wire", CHECKS)
@pytest.mark.parametrize("caller", LOST)
def test_an_interrupted_call_does_not_end_the_session(caller: str, wire: str) -> None:
    if wire == caller:
        return
    read = dialects.get(caller).decode_request(json.dumps(LOST[caller]), {"kind": "chat", "model": "m", "stream": ""})
    body = wires.get(wire).encode_request(read.chat(), LEVEL)
    CHECKS[wire](json.loads(json.dumps(body)))
    assert "stop that" in json.dumps(body).decode()
