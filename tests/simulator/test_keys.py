"""Which keys each provider accepts, and how it refuses the others."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llm_gateway.simulator import Simulator
from tests.simulator.wire import ask, everywhere, get, post

MODELS = {
    "openai": "/openai/v1/models",
    "anthropic": "/anthropic/v1/models?limit=1",
    "gemini": "/gemini/v1beta/models?pageSize=1",
    "fireworks": "/fireworks/inference/v1/models",
    "custom": "/custom/v1/models",
}


def headers(provider: str, key: str | None) -> dict[str, str]:
    version = {"anthropic-version": "2023-06-01"} if provider == "anthropic" else {}
    if key is None:
        return version
    name = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}.get(provider, "authorization")
    return {name: f"Bearer {key}" if name == "authorization" else key, **version}


def code_of(provider: str, body: Any) -> Any:
    """What a client would look at first in an error body."""
    error = body.get("error", body)
    if isinstance(error, str):
        return error
    if provider == "anthropic":
        return error["type"]
    if provider == "gemini":
        return error["status"]
    return error["code"]


@pytest.mark.parametrize(
    ("provider", "kind", "status", "code"),
    [
        ("openai", "valid", 200, None),
        ("openai", "invalid", 401, "invalid_api_key"),
        ("openai", "noperm", 403, None),
        ("openai", "broke", 200, None),
        ("openai", "limited", 429, "rate_limit_exceeded"),
        ("openai", None, 401, None),
        ("anthropic", "valid", 200, None),
        ("anthropic", "invalid", 401, "authentication_error"),
        ("anthropic", "noperm", 403, "permission_error"),
        ("anthropic", "broke", 200, None),
        ("anthropic", "limited", 429, "rate_limit_error"),
        ("anthropic", None, 401, "authentication_error"),
        ("gemini", "valid", 200, None),
        ("gemini", "invalid", 400, "INVALID_ARGUMENT"),
        ("gemini", "noperm", 403, "PERMISSION_DENIED"),
        ("gemini", "broke", 200, None),
        ("gemini", "limited", 429, "RESOURCE_EXHAUSTED"),
        ("gemini", None, 403, "PERMISSION_DENIED"),
        ("fireworks", "valid", 200, None),
        ("fireworks", "invalid", 401, "UNAUTHORIZED"),
        ("fireworks", "noperm", 403, "FORBIDDEN"),
        ("fireworks", "broke", 200, None),
        ("fireworks", "limited", 429, "RESOURCE_EXHAUSTED"),
        ("fireworks", None, 401, "UNAUTHORIZED"),
        ("custom", "invalid", 401, "Unauthorized"),
        ("custom", None, 200, None),
    ],
)
async def test_the_models_endpoint_tells_keys_apart(sim: Simulator, provider: str, kind: str | None, status: int, code: str | None) -> None:
    seen = await get(sim, MODELS[provider], headers(provider, f"sim-{kind}-1" if kind else None))
    assert seen.status == status
    if status != 200:
        assert code_of(provider, seen.json()) == code
    if kind == "limited" and provider != "gemini":
        assert seen.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("wire", "status", "code"),
    [
        ("openai", 429, "insufficient_quota"),
        ("responses", 429, "insufficient_quota"),
        ("anthropic", 400, "invalid_request_error"),
        ("gemini", 429, "RESOURCE_EXHAUSTED"),
        ("fireworks", 412, "PRECONDITION_FAILED"),
        ("custom", 402, 402),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_no_money_shows_when_generating_only(sim: Simulator, wire: str, status: int, code: Any, stream: bool) -> None:
    provider = "openai" if wire == "responses" else wire
    seen = await ask(sim, wire, "sim-model", stream=stream, headers=headers(provider, "sim-broke-1"))
    assert (seen.status, code_of(provider, seen.json())) == (status, code)
    if wire == "anthropic":
        assert "credit balance is too low" in seen.json()["error"]["message"]


@pytest.mark.parametrize(
    ("provider", "kind", "status", "words"),
    [
        ("openai", "nolist", 403, "Missing scopes: api.model.read"),
        ("openai", "region", 403, "unsupported_country_region_territory"),
        ("openai", "expired", 401, "invalid_api_key"),
        ("anthropic", "region", 403, "Request not allowed"),
        ("gemini", "expired", 400, "API_KEY_EXPIRED"),
        ("gemini", "region", 400, "FAILED_PRECONDITION"),
        ("fireworks", "nolist", 500, "Error listing deployed models"),
    ],
)
async def test_rarer_verdicts(sim: Simulator, provider: str, kind: str, status: int, words: str) -> None:
    seen = await get(sim, MODELS[provider], headers(provider, f"sim-{kind}-1"))
    assert seen.status == status
    assert words in seen.body.decode()


async def test_a_fireworks_key_that_may_not_list_is_known_to_the_control_plane(sim: Simulator) -> None:
    keyed = headers("fireworks", "sim-nolist-1")
    assert (await get(sim, "/fireworks/v1/accounts/fireworks/models?pageSize=1", keyed)).status == 200
    assert (await ask(sim, "fireworks", "accounts/fireworks/models/kimi-k3", headers=keyed)).status == 200


async def test_gemini_tells_the_wait_in_the_body(sim: Simulator) -> None:
    seen = await ask(sim, "gemini", "gemini-3.8-flash", headers=headers("gemini", "sim-limited"))
    assert "retry-after" not in seen.headers
    assert seen.json()["error"]["details"][-1]["retryDelay"] == "2s"


async def test_openai_masks_the_key_it_repeats(sim: Simulator) -> None:
    seen = await get(sim, MODELS["openai"], headers("openai", "sim-invalid-secret-part-9999"))
    message = seen.json()["error"]["message"]
    assert "secret-part" not in message
    assert "9999" in message


async def test_official_client_raises_authentication_error(sim: Simulator) -> None:
    async with openai.AsyncOpenAI(api_key="sim-invalid", base_url=sim.base_url("openai"), max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


async def test_a_verdict_can_be_given_to_any_key_at_run_time(sim: Simulator) -> None:
    await post(sim, "/_sim/keys", {"plain-key-7": "invalid"})
    assert (await get(sim, MODELS["openai"], headers("openai", "plain-key-7"))).status == 401
    await post(sim, "/_sim/keys", {"plain-key-7": "valid"})
    assert (await get(sim, MODELS["openai"], headers("openai", "plain-key-7"))).status == 200


@pytest.mark.parametrize("model", ["sim-model", "does-not-exist", "fault:html502", "fault:err200"])
async def test_every_answer_says_it_is_simulated(sim: Simulator, model: str) -> None:
    for wire, _, seen in await everywhere(sim, model):
        assert seen.headers["x-cogo-simulated"] == "true", wire
