"""``explain``: what a request would do now, against the gateway that then does it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.support.gateway import GatewayServer


def post(gateway: GatewayServer, path: str, body: dict[str, Any], key: str = "", **headers: str) -> Any:
    return gateway.http.post(f"/api/ai-models/{path}", json=body, headers={"authorization": f"Bearer {key or gateway.rows.key}", **headers})


def explain(gateway: GatewayServer, key: str = "", **body: Any) -> dict[str, Any]:
    answer = post(gateway, "explain", {"prompt": "Write a function.", **body}, key)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_it_says_what_the_request_then_does(gateway: GatewayServer) -> None:
    told = explain(gateway, max_tokens=50)
    done = post(gateway, "generate", {"prompt": "Write a function.", "max_tokens": 50}).json()
    first = told["targets"][0]
    assert (told["would"], told["error"], told["strategy"], told["kind"]) == ("try", None, "enterprise", "enterprise")
    assert (first["place"], first["provider"], first["model"]) == (1, done["provider"], done["model"])
    assert [f"{t['provider']}/{t['upstream_id']}" for t in told["targets"]] == done["decision"]["order"]
    assert first["score"] == done["decision"]["scores"][done["decision"]["order"][0]]
    assert Decimal(told["reserves"]["amount"]) >= Decimal(done["cost"]["amount"]) > 0
    assert told["note"] == done["decision"]["note"]


def test_nothing_is_sent_logged_or_reserved(gateway: GatewayServer) -> None:
    from llm_gateway.models import IdempotencyRecord, LedgerEntry, RequestLog

    before = gateway.mark, RequestLog.objects.count(), LedgerEntry.objects.count(), IdempotencyRecord.objects.count()
    body = {"prompt": "x", "model": "auto"}
    assert post(gateway, "explain", body, **{"idempotency-key": "one"}).status_code == 200
    assert post(gateway, "explain", {"nonsense": 1}).status_code == 400
    explain(gateway, model="chat/fault:status:500")
    assert (gateway.mark, RequestLog.objects.count(), LedgerEntry.objects.count(), IdempotencyRecord.objects.count()) == before


def test_a_name_means_its_models_and_nothing_else(gateway: GatewayServer) -> None:
    alias = gateway.alias("either", ("chat", "one"), ("claude", "two"))
    told = explain(gateway, model=alias)
    assert (told["strategy"], told["names"]) == ("named", ["chat/one", "claude/two"])
    assert [t["place"] for t in told["targets"]] == [1, 2]


def test_what_rests_has_no_place_and_says_why(gateway: GatewayServer) -> None:
    alias = gateway.alias("limited-first", ("chat", "fault:status:429:ra=30"), ("chat2", "any"))
    gateway.ask("openai_chat", alias)
    told = explain(gateway, model=alias)
    resting, ready = told["targets"]
    assert (resting["place"], ready["place"], told["would"]) == (None, 1, "try")
    assert "rate_limited" in resting["why"]
    assert 20 < resting["wait_s"] <= 30
    alone = explain(gateway, model="chat/fault:status:429:ra=30")
    assert (alone["would"], alone["error"]["code"], alone["error"]["status"]) == ("refuse", "no_healthy_deployment", 503)


def test_looking_takes_no_probe(gateway: GatewayServer) -> None:
    from llm_gateway.policies.breaker import Breaker, State

    gateway.ask("openai_chat", "chat/lookedat")
    found = gateway.gateway
    key = next(t.deployment for t in gateway.on_loop(_targets, found, "chat/lookedat"))
    opened = Breaker(state=State.OPEN, opened_at=0.0, until=1.0)
    gateway.on_loop(found.health._breakers.__setitem__, key, opened)
    for _ in range(3):
        assert explain(gateway, model="chat/lookedat")["targets"][0]["place"] == 1
    assert gateway.on_loop(found.health._breakers.get, key) == opened


def _targets(found: Any, model: str) -> Any:
    from llm_gateway.engine.resolve import resolve

    snapshot = found.catalog.snapshot()
    identity = next(iter(snapshot.clients.values()))[1]
    return resolve(snapshot, identity, model).targets


def test_a_budget_that_would_refuse_is_named(gateway: GatewayServer) -> None:
    poor = gateway.issue("explained-poor", budget_usd=Decimal("0.000001"), period="day")
    told = explain(gateway, poor, model="chat/any")
    assert (told["would"], told["error"]["code"]) == ("refuse", "request_exceeds_budget")
    (budget,) = [b for b in told["budgets"] if b["refusal"]]
    assert (budget["refusal"], budget["period"], budget["hard"]) == ("request_exceeds_budget", "day", True)
    real = post(gateway, "generate", {"prompt": "Write a function.", "model": "chat/any"}, poor).json()["error"]
    assert (real["code"], real["message"]) == (told["error"]["code"], told["error"]["message"])


def test_a_model_that_does_not_exist_or_is_not_theirs_is_explained_the_same(gateway: GatewayServer) -> None:
    narrow = gateway.issue("explained-narrow", models=("sim-openai",))
    for model in ("sim-gemini", "nothing-like-it"):
        told = explain(gateway, narrow, model=model)
        assert (told["would"], told["error"]["code"], told["targets"]) == ("refuse", "model_not_found", [])
    assert [t["model"] for t in explain(gateway, narrow)["targets"]] == ["sim-openai"]


def test_it_needs_the_scope_read(gateway: GatewayServer) -> None:
    writer = gateway.issue("explained-writer", scopes=("generate",))
    assert post(gateway, "explain", {"prompt": "x"}, writer).status_code == 403


def test_it_is_described(gateway: GatewayServer) -> None:
    schema = gateway.http.get("/api/schema/?format=json").json()
    operation = next(item for path, item in schema["paths"].items() if path.rstrip("/").endswith("ai-models/explain"))["post"]
    assert operation["operationId"] == "explain"
    assert "Explained" in schema["components"]["schemas"]
