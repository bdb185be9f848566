"""Fireworks and the lenient host: the OpenAI wire with their own rules."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llm_gateway.simulator import Simulator
from tests.simulator.wire import KEY, ask, encoded, exchange, get, text_of

KIMI = "accounts/fireworks/models/kimi-k3"
QWEN = "accounts/fireworks/models/qwen3p8-max"


async def test_fireworks_wants_a_stream_above_its_cap(sim: Simulator) -> None:
    refused = await ask(sim, "fireworks", QWEN, max_tokens=4097)
    assert refused.status == 400
    assert refused.json()["error"] == {
        "message": "Requests with max_tokens > 4096 must have stream=true",
        "param": "max_tokens",
        "code": "BAD_REQUEST",
        "type": "error",
    }
    assert (await ask(sim, "fireworks", QWEN, max_tokens=4096)).status == 200
    assert (await ask(sim, "fireworks", QWEN, max_tokens=4097, stream=True)).status == 200
    assert (await ask(sim, "fireworks", QWEN)).status == 200


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ({"promptCacheKey": "x"}, "promptCacheKey"),
        ({"messages": [{"role": "user", "content": "hi", "cache_control": {}}]}, "messages[0].cache_control"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}]},
            "messages[0].content[0].cache_control",
        ),
        ({"tools": [{"type": "function", "function": {"name": "f", "arguments": {}}}]}, "tools[0].function.arguments"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "$schema": "x"}}}, "response_format.json_schema.$schema"),
    ],
)
async def test_fireworks_refuses_unknown_fields_by_their_path(sim: Simulator, extra: dict[str, Any], field: str) -> None:
    seen = await ask(sim, "fireworks", QWEN, **extra)
    assert seen.status == 400
    assert seen.json()["error"] == {
        "object": "error",
        "type": "invalid_request_error",
        "code": "invalid_request_error",
        "message": f"Extra inputs are not permitted, field: '{field}'",
    }


async def test_fireworks_reasons_beside_the_content_and_counts_in_headers(sim: Simulator) -> None:
    seen = await ask(sim, "fireworks", KIMI)
    message = seen.json()["choices"][0]["message"]
    assert message["reasoning_content"]
    assert message["content"]
    assert seen.headers["fireworks-prompt-tokens"] == str(seen.json()["usage"]["prompt_tokens"])
    streamed = await ask(sim, "fireworks", KIMI, stream=True)
    assert text_of("fireworks", streamed) == message["content"]
    thought = "".join(one["choices"][0]["delta"].get("reasoning_content", "") for one in streamed.events()[:-2])
    assert thought == message["reasoning_content"]


async def test_fireworks_hands_out_cut_reasoning_as_content(sim: Simulator) -> None:
    seen = await ask(sim, "fireworks", KIMI, reasoning_effort="high", max_tokens=50)
    message = seen.json()["choices"][0]["message"]
    assert seen.json()["choices"][0]["finish_reason"] == "length"
    assert message["content"]
    assert "reasoning_content" not in message


async def test_fireworks_short_names_and_retired_models(sim: Simulator) -> None:
    assert (await ask(sim, "fireworks", "fireworks/kimi-k3")).json()["model"] == KIMI
    gone = await ask(sim, "fireworks", "accounts/fireworks/models/qwen3-coder-480b-a35b-instruct")
    assert gone.status == 404
    assert gone.json()["error"]["code"] == "NOT_FOUND"


async def test_fireworks_lists_models_on_both_planes(sim: Simulator) -> None:
    inference = (await get(sim, "/fireworks/inference/v1/models")).json()
    control = (await get(sim, "/fireworks/v1/accounts/fireworks/models?pageSize=1")).json()
    assert KIMI in [model["id"] for model in inference["data"]]
    assert len(control["models"]) == 1
    assert control["nextPageToken"]
    refused = await get(sim, "/fireworks/v1/accounts/fireworks/models", {"authorization": "Bearer sim-invalid"})
    assert refused.status == 401


async def test_fireworks_also_speaks_messages_and_completions(sim: Simulator) -> None:
    body = {"model": QWEN, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    seen = await exchange(sim, encoded("POST", "/fireworks/inference/v1/messages", body))
    assert seen.json()["type"] == "message"
    seen = await exchange(sim, encoded("POST", "/fireworks/inference/v1/completions", {"model": QWEN, "prompt": "hi"}))
    assert seen.json()["usage"]["completion_tokens"] > 0


async def test_openai_client_reads_fireworks(sim: Simulator) -> None:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=sim.base_url("fireworks"), max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "hello"}]
        made = await client.chat.completions.create(model=KIMI, messages=messages)
        assert made.choices[0].finish_reason == "stop"
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="accounts/fireworks/models/nonexistent", messages=messages)


async def test_lenient_host_needs_no_key_and_ignores_unknown_fields(sim: Simulator) -> None:
    seen = await ask(sim, "custom", "local-coder-7b", headers={}, surprise=True, max_tokens=5000)
    assert seen.status == 200
    assert (await ask(sim, "custom", "local-coder-7b", headers={"authorization": "Bearer sim-invalid"})).status == 401


async def test_lenient_host_answers_mistakes_like_fastapi(sim: Simulator) -> None:
    seen = await ask(sim, "custom", "local-coder-7b", messages="hello")
    assert seen.status == 422
    assert seen.json()["detail"][0]["loc"] == ["body", "messages"]
    assert (await exchange(sim, encoded("POST", "/custom/v1/nothing", {}))).json() == {"detail": "Not Found"}


async def test_lenient_host_may_end_without_done(sim: Simulator) -> None:
    assert (await ask(sim, "custom", "local-coder-7b", stream=True)).events()[-1] == "[DONE]"
    bare = await ask(sim, "custom", "local-quirk:nodone", stream=True)
    assert bare.whole
    assert bare.events()[-1]["usage"]["completion_tokens"] > 0


async def test_lenient_host_reasons(sim: Simulator) -> None:
    message = (await ask(sim, "custom", "local-reasoner-8b")).json()["choices"][0]["message"]
    assert message["reasoning_content"]
    assert message["content"]


async def test_lenient_host_has_the_quirks_of_others(sim: Simulator) -> None:
    async def said(quirks: str, **extra: Any) -> Any:
        return (await ask(sim, "custom", f"local-reasoner-quirk:{quirks}", **extra)).json()

    assert (await said("reasoning"))["choices"][0]["message"]["reasoning"]
    assert (await said("think"))["choices"][0]["message"]["content"].startswith("<think>")
    assert (await said("contentlist"))["choices"][0]["message"]["content"][0]["type"] == "text"
    assert (await said("eos+nousage"))["choices"][0]["finish_reason"] == "eos"
    assert "usage" not in await said("eos+nousage")
    assert (await said("cost"))["usage"]["cost"] > 0
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}
    call = (await said("wholetool", tools=[tool], tool_choice="required"))["choices"][0]["message"]["tool_calls"][0]
    assert call["id"] is None
    assert set(call["function"]["arguments"]) == {"a"}


@pytest.mark.parametrize("quirk", ["norole", "emptyfinish", "noindex", "padded"])
async def test_quirks_leave_the_text_alone(sim: Simulator, quirk: str) -> None:
    plain = text_of("custom", await ask(sim, "custom", "local-x", "hello", stream=True))
    for stream in (True, False):
        assert text_of("custom", await ask(sim, "custom", f"local-quirk:{quirk}", "hello", stream=stream)) == plain
