"""What providers refuse beyond plain types. A gateway that translates badly is told here."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.simulator import Simulator
from tests.simulator.wire import ask

USER = {"role": "user", "content": "hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False}


def fmt(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "r", "strict": True, "schema": schema}}}


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"messages": [USER, RESULT]}, "must be a response to a preceeding message"),
        ({"messages": [USER, CALLED, USER]}, "did not have response messages: call_1"),
        ({"messages": [USER, CALLED]}, "did not have response messages"),
        ({"messages": [{"role": "model", "content": "hi"}]}, "Supported values are"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {}}]}]}, "cache_control"),
        ({"max_output_tokens": 5}, "Unknown parameter: 'max_output_tokens'"),
        ({"system": "x"}, "Unknown parameter: 'system'"),
        ({"thinking": {"type": "enabled"}}, "Unknown parameter: 'thinking'"),
        (fmt(OPEN), "'additionalProperties' is required"),
        (fmt(LOOSE), "Missing 'a'"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "does not match pattern"),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": OPEN}}]}, "Invalid schema for function"),
    ],
)
async def test_openai_chat_refuses(sim: Simulator, extra: dict[str, Any], words: str) -> None:
    seen = await ask(sim, "openai", "gpt-4o", **extra)
    assert seen.status == 400
    assert words in seen.json()["error"]["message"]


async def test_openai_accepts_good_tool_turns_and_unknown_fields(sim: Simulator) -> None:
    assert (await ask(sim, "openai", "gpt-4o", messages=[USER, CALLED, RESULT])).status == 200
    assert (await ask(sim, "openai", "gpt-4o", a_field_of_tomorrow=1)).status == 200
    closed = {**OPEN, "additionalProperties": False}
    assert (await ask(sim, "openai", "gpt-4o", **fmt(closed))).status == 200


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([USER, {"type": "function_call_output", "call_id": "c", "output": "x"}], "No tool call found"),
        ([USER, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}], "No tool output found"),
        ([USER, {"type": "reasoning", "id": "rs_1", "summary": []}], "without its required following item"),
        ([{"role": "tool", "content": "x"}], "Invalid value: 'tool'"),
    ],
)
async def test_openai_responses_refuses(sim: Simulator, items: list[Any], words: str) -> None:
    seen = await ask(sim, "responses", "gpt-5", input=items)
    assert seen.status == 400
    assert words in seen.json()["error"]["message"]


USED = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]}
ANSWERED = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
TEXT = {"type": "text", "text": "and"}


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"messages": [USER, USED, USER]}, "without `tool_result` blocks immediately after: toolu_1"),
        ({"messages": [USER, USED, {"role": "user", "content": [TEXT, ANSWERED]}]}, "without `tool_result` blocks"),
        ({"messages": [{"role": "user", "content": [ANSWERED]}]}, "unexpected `tool_use_id`"),
        ({"messages": [{"role": "user", "content": ""}]}, "must be non-empty"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role"),
        ({"stop": "x"}, "stop: Extra inputs are not permitted"),
        ({"response_format": {}}, "Extra inputs"),
        ({"temperature": 1.5}, "temperature"),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "String should match pattern"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "input_schema.type"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}},
            "Thinking may not be enabled",
        ),
        ({"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5}, "maximum of 4 blocks"),
        (
            {"messages": [USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}, TEXT]}, USER]},
            "messages.1.content.0.thinking.signature: Field required",
        ),
    ],
)
async def test_anthropic_refuses(sim: Simulator, extra: dict[str, Any], words: str) -> None:
    seen = await ask(sim, "anthropic", "claude-haiku-4-5", **extra)
    assert seen.status == 400
    assert words in seen.json()["error"]["message"]


async def test_anthropic_merges_turns_of_one_role_before_it_looks(sim: Simulator) -> None:
    split = [USER, USED, {"role": "user", "content": [ANSWERED]}, {"role": "user", "content": "go on"}]
    assert (await ask(sim, "anthropic", "claude-haiku-4-5", messages=split)).status == 200


ASKED = {"role": "user", "parts": [{"text": "hi"}]}
FUNCTION = {"functionCall": {"name": "f", "args": {}}}
RESPONSE = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "ok"}}}]}


@pytest.mark.parametrize(
    ("model", "extra", "words"),
    [
        ("gemini-2.5-pro", {"contents": [ASKED, {"role": "model", "parts": [FUNCTION, FUNCTION]}, RESPONSE]}, "function response parts"),
        ("gemini-3.8-flash", {"contents": [ASKED, {"role": "model", "parts": [FUNCTION]}, RESPONSE]}, "thought_signature"),
        ("gemini-2.5-pro", {"contents": [{"parts": [{"text": "hi", "cache_control": {}}]}]}, 'Unknown name "cache_control"'),
        ("gemini-2.5-pro", {"max_tokens": 3}, 'Unknown name "max_tokens"'),
        (
            "gemini-2.5-pro",
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object", "$schema": "x"}}]}]},
            'Unknown name "$schema"',
        ),
        ("gemini-2.5-pro", {"generationConfig": {"responseSchema": {"additionalProperties": False}}}, "additionalProperties"),
    ],
)
async def test_gemini_refuses(sim: Simulator, model: str, extra: dict[str, Any], words: str) -> None:
    seen = await ask(sim, "gemini", model, **extra)
    assert seen.status == 400
    assert words in seen.json()["error"]["message"]


async def test_gemini_accepts_unsigned_calls_where_they_are_old(sim: Simulator) -> None:
    turns = [ASKED, {"role": "model", "parts": [FUNCTION]}, RESPONSE]
    assert (await ask(sim, "gemini", "gemini-2.5-pro", contents=turns)).status == 200
    assert (await ask(sim, "gemini", "gemini-3.8-flash", contents=[*turns, ASKED])).status == 200
    signed = [ASKED, {"role": "model", "parts": [{**FUNCTION, "thoughtSignature": "c2ln"}]}, RESPONSE]
    assert (await ask(sim, "gemini", "gemini-3.8-flash", contents=signed)).status == 200


async def test_a_prompt_beyond_the_window_is_refused_with_its_numbers(sim: Simulator) -> None:
    seen = await ask(sim, "anthropic", "claude-haiku-4-5-20251001", "x" * 4 * 200_001)
    assert seen.json()["error"]["message"] == "prompt is too long: 200005 tokens > 200000 maximum"
    assert (await ask(sim, "custom", "local-coder-7b", "x" * 4 * 40_000)).status == 400


async def test_a_limit_beyond_the_models_is_refused(sim: Simulator) -> None:
    assert "at most 16384" in (await ask(sim, "openai", "gpt-4o", max_tokens=16_385)).json()["error"]["message"]
    config = {"maxOutputTokens": 65_537}
    assert "65537 (exclusive)" in (await ask(sim, "gemini", "gemini-2.5-pro", generationConfig=config)).json()["error"]["message"]


async def test_the_served_snapshot_is_named(sim: Simulator) -> None:
    assert (await ask(sim, "openai", "gpt-4o")).json()["model"] == "gpt-4o-2024-08-06"
    assert (await ask(sim, "anthropic", "claude-haiku-4-5")).json()["model"] == "claude-haiku-4-5-20251001"


async def test_old_fireworks_models_send_usage_with_the_finish(sim: Simulator) -> None:
    seen = await ask(sim, "fireworks", "accounts/fireworks/models/deepseek-r1", stream=True)
    last = seen.events()[-2]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["completion_tokens"] > 0
