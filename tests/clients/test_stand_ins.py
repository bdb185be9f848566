"""The names of the original system work out of the box: where its model is retired, the successor answers and says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import auth

# name: (provider, the model that answers, its id there, the retired one)
NAMES = {
    "fireworks/qwen3-coder-480b-a35b-instruct": (
        "fireworks", "qwen3p8-max", "accounts/fireworks/models/qwen3p8-max", "qwen3-coder-480b"
    ),
    "claude-3.5-sonnet": ("anthropic", "claude-sonnet-5-5", "claude-sonnet-5-5", "claude-3-5-sonnet-20241022"),
    "gpt-4o": ("openai", "gpt-4o", "gpt-4o", None),
    "gemini-1.5-pro": ("gemini", "gemini-3.8-flash", "gemini-3.8-flash", "gemini-1.5-pro"),
}  # fmt: skip
EXACT = {
    "anthropic/claude-3-5-sonnet-20241022": "claude-sonnet-5-5",
    "claude-3-5-sonnet-20241022": "claude-sonnet-5-5",
    "gemini/gemini-1.5-pro": "gemini-3.8-flash",
    "fireworks/accounts/fireworks/models/qwen3-coder-480b-a35b-instruct": "qwen3p8-max",
    "accounts/fireworks/models/qwen3-coder-480b-a35b-instruct": "qwen3p8-max",
}


@pytest.fixture(scope="module")
def catalogued(gateway_server: GatewayServer) -> GatewayServer:
    from llm_gateway.actions.import_prices import import_prices
    from llm_gateway.actions.load_catalogue import load_catalogue

    load_catalogue()
    import_prices()
    gateway_server.refresh()
    return gateway_server


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "native"])
@pytest.mark.parametrize("name", NAMES)
def test_an_original_name_answers(gateway: GatewayServer, catalogued: GatewayServer, name: str, dialect: str, stream: bool) -> None:
    provider, model, upstream_id, retired = NAMES[name]
    answer = gateway.ask(dialect, name, stream=stream)
    assert answer.status == 200, answer.body
    assert answer.text
    assert answer.headers["x-cogo-provider"] == provider
    served = answer.headers["x-cogo-model"]
    assert served == (model if dialect == "native" else upstream_id) or served.startswith(f"{upstream_id}-20")
    warning = f"retired; successor={model}" if retired else None
    assert answer.headers.get("x-cogo-warning") == warning
    row = gateway.row(answer)
    assert row.decision.get("stands_in_for") == retired
    assert row.cost_nusd
    if not stream:
        told: Any = answer.json.get("modelVersion") or answer.json["model"]
        assert told.startswith((model, upstream_id))


@pytest.mark.parametrize(("name", "successor"), EXACT.items())
def test_the_exact_id_stays_an_error_that_names_the_successor(
    gateway: GatewayServer, catalogued: GatewayServer, name: str, successor: str
) -> None:
    answer = gateway.ask("openai_chat", name)
    assert (answer.status, answer.code) == (404, "model_not_found")
    assert f"`{successor}`" in answer.json["error"]["message"]


def test_an_operator_can_take_the_successor_off(gateway: GatewayServer, catalogued: GatewayServer) -> None:
    from llm_gateway.models import AliasTarget

    AliasTarget.objects.filter(alias__name="claude-3-5-sonnet-latest", position=1).delete()
    gateway.refresh()
    answer = gateway.ask("openai_chat", "claude-3-5-sonnet-latest")
    assert (answer.status, "`claude-sonnet-5-5`" in answer.json["error"]["message"]) == (404, True)


def test_the_names_are_listed_once(gateway: GatewayServer, catalogued: GatewayServer) -> None:
    listed = gateway.http.get("/v1/models", headers=auth("openai_chat", gateway.rows.key)).json()["data"]
    ids = [entry["id"] for entry in listed]
    assert len(ids) == len(set(ids))
    assert set(NAMES) <= set(ids)
    assert not set(EXACT) & set(ids)
