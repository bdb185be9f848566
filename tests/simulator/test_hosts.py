"""Chat hosts that refuse as the real ones do."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.simulator import Simulator
from tests.simulator.wire import encoded, exchange

USER = {"role": "user", "content": "hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm"}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "ok"}
LIST = RESULT | {"content": [{"type": "text", "text": "ok"}]}
THOUGHTLESS = {name: value for name, value in CALLED.items() if name != "reasoning_content"}
BROKEN = CALLED | {"tool_calls": [CALL | {"function": {"name": "f", "arguments": "{"}}]}


async def status(sim: Simulator, host: str, messages: list[Any], **more: Any) -> tuple[int, bytes]:
    body = {"model": f"host:{host}", "messages": messages, **more}
    seen = await exchange(sim, encoded("POST", "/custom/v1/chat/completions", body))
    return seen.status, seen.body


@pytest.mark.parametrize(
    ("host", "messages", "code", "words"),
    [
        ("deepseek", [USER, CALLED, LIST], 422, b"expected a string"),
        ("deepseek", [USER, THOUGHTLESS, RESULT], 400, b"must be passed back"),
        ("deepseek", [USER, CALLED, USER, RESULT], 400, b"must be followed by tool messages"),
        ("kimi", [USER, CALLED | {"reasoning_content": ""}, RESULT], 400, b"must be passed back"),
        ("qwen", [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}, USER], 400, b"must be at the beginning"),
        ("qwen", [USER, {"role": "developer", "content": "b"}], 400, b"must be at the beginning"),
        ("vllm", [USER, BROKEN, RESULT], 400, b"bad token"),
        ("llamacpp", [USER, BROKEN, RESULT], 500, b"bad token"),
        ("openai", [USER, CALLED, RESULT], 400, b"is unsupported"),
        ("openai", [USER, RESULT], 400, b"must be a response to a preceding message"),
    ],
)
async def test_a_host_refuses_what_it_refuses(sim: Simulator, host: str, messages: list[Any], code: int, words: bytes) -> None:
    got, body = await status(sim, host, messages)
    assert (got, words in body) == (code, True), body


@pytest.mark.parametrize(("host", "limit"), [("openai", 64), ("zai", 128), ("openrouter", 128)])
async def test_a_long_user_is_refused(sim: Simulator, host: str, limit: int) -> None:
    assert (await status(sim, host, [USER], user="u" * limit))[0] == 200
    assert (await status(sim, host, [USER], user="u" * (limit + 1)))[0] == 400


async def test_what_a_host_takes_is_served(sim: Simulator) -> None:
    assert (await status(sim, "deepseek", [USER, CALLED, RESULT]))[0] == 200
    assert (await status(sim, "nobody", [USER, CALLED, LIST, {"role": "system", "content": "b"}]))[0] == 200
