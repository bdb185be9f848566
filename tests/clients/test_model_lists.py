"""Lists of models, in every dialect: what a program picks from them it can call."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import auth

DIALECTS = {
    "openai_chat": ("/v1/models", "data", "id"),
    "anthropic_messages": ("/v1/models?limit=1000", "data", "id"),
    "gemini_generate": ("/v1beta/models?pageSize=1000", "models", "baseModelId"),
    "native": ("/api/ai-models/models", "models", "name"),
}


def listed(gateway: GatewayServer, dialect: str, key: str | None = None) -> list[str]:
    path, field, name = DIALECTS[dialect]
    answer = gateway.http.get(path, headers=auth(dialect, key or gateway.rows.key))
    assert answer.status_code == 200, answer.text
    entries: list[Any] = answer.json()[field]
    return [entry[name] for entry in entries if entry.get("available", True)]


@pytest.fixture(scope="module")
def rows(gateway_server: GatewayServer) -> GatewayServer:
    from llm_gateway.models import ProviderKey

    found = gateway_server.rows
    found.model("anthropic", "claude-sonnet-5-5", name="claude-sonnet-5-5")
    found.model("anthropic", "claude-2", name="claude-2", lifecycle="retired")
    found.provider("am", gateway_server.simulator.base_url("anthropic"), service="anthropic", wire="anthropic_messages")
    found.model("chat", "without-a-price", name="without-a-price", priced=False)
    found.provider("keyless", gateway_server.simulator.base_url("custom"), keys=0)
    found.model("keyless", "k", name="no-key-at-all")
    found.provider("refusing", gateway_server.simulator.base_url("custom"))
    ProviderKey.objects.filter(provider=found.providers["refusing"]).update(enabled=False)
    found.model("refusing", "r", name="key-is-refused")
    found.alias("behind-nothing", [("keyless", "k")])
    found.alias("some-of-it", [("keyless", "k"), ("chat", "*")])
    gateway_server.refresh()
    return gateway_server


NEVER = {"claude-2", "without-a-price", "no-key-at-all", "key-is-refused"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_only_names_that_can_be_called_are_listed(gateway: GatewayServer, rows: GatewayServer, dialect: str) -> None:
    names = listed(gateway, dialect)
    assert len(names) == len(set(names))
    assert [name for name in names if "*" in name] == []
    assert not NEVER & set(names)
    assert {"sim-openai", "claude-sonnet-5-5"} <= set(names)
    if dialect != "native":  # which lists aliases apart
        assert "behind-nothing" not in names
        assert "some-of-it" in names


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "native"])
def test_a_pattern_is_told_as_the_models_it_lets_through(gateway: GatewayServer, rows: GatewayServer, dialect: str) -> None:
    assert "am/claude-sonnet-5-5" in listed(gateway, dialect)
    assert "am/claude-2" not in listed(gateway, dialect)


def test_every_name_on_the_list_answers_and_can_be_read(gateway: GatewayServer, rows: GatewayServer) -> None:
    headers = auth("anthropic_messages", gateway.rows.key)
    for name in listed(gateway, "anthropic_messages"):
        entry = gateway.http.get(f"/v1/models/{name}", headers=headers)
        assert (entry.status_code, entry.json()["id"]) == (200, name)
        assert "*" not in entry.json()["display_name"]
        if not name.startswith("fault"):
            assert gateway.ask("openai_chat", name, max_tokens=5).status == 200, name


def test_a_key_that_may_use_unpriced_models_sees_them(gateway: GatewayServer, rows: GatewayServer) -> None:
    from llm_gateway.models import ClientKey

    key = gateway.issue("unpriced")
    ClientKey.objects.filter(name="unpriced").update(allow_unpriced=True)
    from llm_gateway.models import CatalogueVersion

    CatalogueVersion.bump()
    gateway.refresh()
    assert "without-a-price" in listed(gateway, "openai_chat", key)
