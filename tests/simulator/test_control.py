"""Personalities, fault sequences and models, set at run time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llm_gateway.simulator import Simulator
from llm_gateway.simulator.control import Refused
from tests.simulator.wire import WIRES, ask, encoded, exchange, get, post

PROVIDERS = ("openai", "anthropic", "gemini", "fireworks", "custom")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_provider_that_is_down_resets_everything_and_the_others_go_on(sim: Simulator, provider: str) -> None:
    await post(sim, f"/_sim/personality/{provider}", {"state": "down"})
    assert (await ask(sim, provider, "sim-model")).ended == "reset"
    models = {"gemini": "/gemini/v1beta/models", "fireworks": "/fireworks/inference/v1/models"}.get(provider, f"/{provider}/v1/models")
    assert (await get(sim, models)).ended == "reset"
    other = "openai" if provider != "openai" else "anthropic"
    assert (await ask(sim, other, "sim-model")).status == 200
    await post(sim, "/_sim/reset", {})
    assert (await ask(sim, provider, "sim-model")).status == 200


@pytest.mark.parametrize(
    ("state", "statuses"),
    [
        ("unauthorized", {"openai": 401, "anthropic": 401, "gemini": 400, "fireworks": 401, "custom": 401}),
        ("overloaded", {"openai": 503, "anthropic": 529, "gemini": 503, "fireworks": 503, "custom": 503}),
        ("quota", {"openai": 429, "anthropic": 400, "gemini": 429, "fireworks": 412, "custom": 402}),
        ("ratelimited", dict.fromkeys(PROVIDERS, 429)),
    ],
)
async def test_moods_answer_in_the_providers_own_status(sim: Simulator, state: str, statuses: dict[str, int]) -> None:
    await post(sim, "/_sim/personality/all", {"state": state})
    for provider, status in statuses.items():
        assert (await ask(sim, provider, "sim-model")).status == status, provider


async def test_python_callers_need_no_http() -> None:
    async with Simulator(latency_ms=0, chunk_ms=0, personalities=["openai=down", "gemini=flaky,p=1,latency_ms=3"]) as sim:
        assert (await ask(sim, "openai", "m")).ended == "reset"
        assert sim.state.personalities["gemini"].p == 1
        sim.control("personality/openai", state="up")
        sim.control("faults", model="m", sequence=["status:503"])
        assert (await ask(sim, "openai", "m")).status == 503


@pytest.mark.parametrize("text", ["openai", "openai=moody", "nobody=up", "openai=up,latency_ms=fast"])
async def test_senseless_personalities_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        Simulator(personalities=[text])


async def test_flaky_fails_about_as_often_as_told_and_repeats_for_a_seed() -> None:
    async def outcomes() -> list[int]:
        async with Simulator(latency_ms=0, chunk_ms=0, seed=5) as sim:
            await post(sim, "/_sim/personality/openai", {"state": "flaky", "p": 0.5, "faults": ["status:500", "status:503"]})
            return [(await ask(sim, "openai", "sim-model")).status for _ in range(60)]

    first = await outcomes()
    assert first == await outcomes()
    assert 15 < sum(status != 200 for status in first) < 45
    assert set(first) == {200, 500, 503}


async def test_slow_adds_to_the_latency(sim: Simulator) -> None:
    await post(sim, "/_sim/personality/openai", {"state": "slow", "slow_ms": 200})
    loop = asyncio.get_running_loop()
    started = loop.time()
    await ask(sim, "openai", "sim-model", "hi")
    assert loop.time() - started >= 0.2


async def test_a_whole_provider_can_have_a_fault(sim: Simulator) -> None:
    await post(sim, "/_sim/personality/gemini", {"fault": "status:418"})
    assert (await ask(sim, "gemini", "gemini-3.8-flash")).status == 418


async def test_a_sequence_is_used_up_call_by_call(sim: Simulator) -> None:
    await post(sim, "/_sim/faults", {"model": "m", "sequence": ["status:500", "rst@0", "ok"]})
    assert (await ask(sim, "openai", "m")).status == 500
    assert (await ask(sim, "fireworks", "accounts/x/models/m")).ended == "reset"
    assert [(await ask(sim, "gemini", "m")).status for _ in range(3)] == [200, 200, 200]


async def test_a_sequence_can_repeat(sim: Simulator) -> None:
    await post(sim, "/_sim/faults", {"model": "m", "sequence": ["status:503", "ok"], "repeat": True})
    assert [(await ask(sim, "openai", "m")).status for _ in range(5)] == [503, 200, 503, 200, 503]


async def test_models_come_and_go(sim: Simulator) -> None:
    await post(sim, "/_sim/models", {"provider": "openai", "add": ["house-model"], "retire": ["gpt-4o"]})
    names = [model["id"] for model in (await get(sim, "/openai/v1/models")).json()["data"]]
    assert "house-model" in names
    assert "gpt-4o" not in names
    assert (await ask(sim, "openai", "gpt-4o")).status == 404


async def test_a_strict_simulator_knows_only_its_list() -> None:
    async with Simulator(latency_ms=0, chunk_ms=0, strict_models=True) as sim:
        assert (await ask(sim, "openai", "gpt-4o")).status == 200
        assert (await ask(sim, "openai", "whatever")).status == 404
        assert (await ask(sim, "openai", "fault:ok")).status == 200


@pytest.mark.parametrize("wire", WIRES)
async def test_models_named_as_missing_are_missing(sim: Simulator, wire: str) -> None:
    seen = await ask(sim, wire, "does-not-exist")
    assert seen.status == (400 if wire == "responses" else 404)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/_sim/personality/openai", {"state": "moody"}, 400),
        ("/_sim/personality/openai", {"colour": "red"}, 400),
        ("/_sim/personality/nobody", {"state": "up"}, 404),
        ("/_sim/personality/openai", {"latency_ms": "fast"}, 400),
        ("/_sim/faults", {"model": "m", "sequence": ["banana"]}, 400),
        ("/_sim/faults", {"model": "m"}, 400),
        ("/_sim/script", {"steps": ["x"]}, 400),
        ("/_sim/models", {"provider": "nobody"}, 404),
        ("/_sim/keys", {"k": "maybe"}, 400),
        ("/_sim/nothing", {}, 404),
    ],
)
async def test_senseless_control_is_refused(sim: Simulator, path: str, body: Any, status: int) -> None:
    assert (await exchange(sim, encoded("POST", path, body))).status == status


async def test_state_is_told_without_keys(sim: Simulator) -> None:
    await post(sim, "/_sim/keys", {"a-plain-key": "broke"})
    seen = await get(sim, "/_sim/state")
    assert seen.json()["personalities"]["openai"]["state"] == "up"
    assert b"a-plain-key" not in seen.body
