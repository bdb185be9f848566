"""What a client key may use, by every name a caller may write, in every dialect; and what it is told of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import GatewayServer
from tests.support.speaking import DIALECTS, auth

SIM = {"fireworks": "sim-fireworks", "anthropic": "sim-anthropic", "openai": "sim-openai", "gemini": "sim-gemini"}


def listed(gateway: GatewayServer, key: str) -> set[str]:
    return {one["id"] for one in gateway.http.get("/v1/models", headers=auth("openai_chat", key)).json()["data"]}


# The list, what may be asked for with it, and what may not.
LISTS: list[tuple[list[str], list[str], list[str]]] = [
    (
        ["openai/sim-openai"],
        ["sim-openai", "openai/sim-openai", "auto"],
        ["sim-gemini", "gemini/sim-gemini", "openai/other", "chat/sim-openai"],
    ),
    (["sim-openai"], ["openai/sim-openai", "sim-openai"], ["sim-anthropic"]),
    (["openai/*"], ["sim-openai", "openai/sim-openai", "openai/whatever", "auto"], ["sim-gemini", "chat/openai/x", "openai2/x"]),
    (["sim-o*"], ["sim-openai", "openai/sim-openai", "strategy:enterprise"], ["sim-gemini", "chat/sim-openai"]),
    (["sim-?penai"], ["sim-openai"], ["sim-gemini"]),
    (["*"], ["sim-openai", "chat/x", "either", "auto"], []),
    (["either"], ["either"], ["chat/one", "claude/two", "auto", "strategy:enterprise"]),
    (["eith*"], ["either"], ["chat/one", "auto"]),
    (["chat/one"], ["chat/one"], ["either", "chat/other", "auto"]),
    (["chat/*", "claude/*"], ["either", "chat/z", "claude/z"], ["gem/z"]),
    (["auto"], ["auto", "strategy:enterprise"], ["sim-openai", "chat/x"]),
    (["strategy:enterprise"], ["strategy:enterprise", "auto"], ["strategy:ab-testing", "sim-openai"]),
]


@pytest.mark.parametrize(("names", "may", "may_not"), LISTS, ids=lambda value: "+".join(value) if isinstance(value, list) else str(value))
def test_a_list_means_what_its_names_mean(gateway: GatewayServer, names: list[str], may: list[str], may_not: list[str]) -> None:
    gateway.alias("either", ("chat", "one"), ("claude", "two"))
    key = gateway.issue(f"list {'+'.join(names)}", models=names)
    for name in may:
        assert gateway.ask("openai_chat", name, key=key).status == 200, name
    before = gateway.mark
    for name in may_not:
        answer = gateway.ask("openai_chat", name, key=key)
        assert (answer.status, answer.code) == (404, "model_not_found"), name
        assert answer.headers["x-should-retry"] == "false"
    assert gateway.mark == before
    for name in listed(gateway, key) - {name for name in listed(gateway, key) if "*" in name}:
        assert gateway.ask("openai_chat", name, key=key).status == 200, name


def test_a_provider_that_is_switched_off_hands_its_names_to_nobody(gateway: GatewayServer) -> None:
    """Some host takes any name, also one that begins like that provider's; a key for the provider alone does not get there."""
    gateway.rows.provider("gone", "http://127.0.0.1:9/v1", enabled=False)
    gateway.refresh()
    key = gateway.issue("for-the-gone", models=["gone/*"])
    assert gateway.ask("openai_chat", "gone/x", key=key).status == 404
    assert gateway.ask("openai_chat", "gone/x").status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_holds_to_the_list(gateway: GatewayServer, dialect: str, stream: bool) -> None:
    key = gateway.issue(f"{dialect}-{stream}", models=["openai/*"])
    assert gateway.ask(dialect, "openai/sim-openai", stream=stream, key=key).status == 200
    before = gateway.mark
    assert gateway.ask(dialect, "sim-gemini", stream=stream, key=key).status == 404
    assert gateway.ask(dialect, "strategy:enterprise", stream=stream, key=key).status == 200
    assert {entry["provider"] for entry in gateway.received(before)} == {"openai"}


def test_counts_embeddings_analyses_and_explanations_hold_to_the_list(gateway: GatewayServer) -> None:
    key = gateway.issue("other-kinds", models=["chat/fine-*"])
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("openai_chat", "/v1/embeddings", {"input": "x"}),
        ("anthropic_messages", "/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "x"}]}),
        ("native", "/api/ai-models/analyze", {"code": "x = 1"}),
    ]
    for dialect, path, body in bodies:
        answers = [
            gateway.http.post(path, json={**body, "model": model}, headers=auth(dialect, key)) for model in ("chat/fine-1", "claude/x")
        ]
        assert answers[0].status_code != 404, (path, answers[0].text)
        assert answers[1].status_code == 404, path
    told = gateway.http.post("/api/ai-models/explain", json={"prompt": "x", "model": "claude/x"}, headers=auth("native", key)).json()
    assert (told["would"], told["error"]["code"]) == ("refuse", "model_not_found")


def test_a_strategy_and_its_fallbacks_stay_within_the_list(gateway: GatewayServer) -> None:
    key = gateway.issue("two-of-four", models=["openai/*", "gemini/*"])
    gateway.program("openai/sim-openai", *["status:500"] * 3)
    gateway.program("gemini/sim-gemini", *["status:500"] * 3)
    before = gateway.mark
    assert gateway.ask("openai_chat", "auto", key=key).status == 502
    assert {entry["provider"] for entry in gateway.received(before)} == {"openai", "gemini"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("model", ["auto", "strategy:enterprise"])
def test_a_key_for_one_alias_is_told_what_it_may_use(gateway: GatewayServer, dialect: str, model: str) -> None:
    gateway.alias("only-this", ("chat", "one"))
    key = gateway.issue(f"alias-{dialect}-{model}", models=["only-this"])
    answer = gateway.ask(dialect, model, key=key)
    assert answer.status == 404
    assert b"only-this" in answer.body
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
