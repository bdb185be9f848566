"""Status, models, strategy, keys, results and test, for keys; rows come from the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from llm_gateway.core.catalog import Scope
from llm_gateway.core.errors import RateLimited
from llm_gateway.models import Attempt, ClientKey, LanguageModel, Provider, ProviderKey, RequestLog, Strategy, StrategyActivation, Team
from llm_gateway.telemetry import lately

from .fakes import KEY, MODELS, Caller, FakeGateway, identity, new_uuid, target

pytestmark = pytest.mark.django_db(transaction=True)


def get(path: str, key: str = KEY) -> Any:
    return async_to_sync(Caller(key).get)(path)


def post(path: str, body: Any, key: str = KEY) -> Any:
    return async_to_sync(Caller(key).post)(path, body)


@pytest.fixture
def provider(db: None) -> Provider:
    return Provider.objects.create(id=1, slug="acme", title="Acme", wire="openai_chat", base_url="http://acme.test/v1")


def team(slug: str) -> Team:
    return Team.objects.create(name=slug, slug=slug)


def log(of: Team, **columns: Any) -> RequestLog:
    now = datetime.now(UTC)
    return RequestLog.objects.create(
        **{
            "id": new_uuid(),
            "created_at": now,
            "finished_at": now,
            "state": "ok",
            "kind": "generate",
            "dialect": "native",
            "team": of,
            **columns,
        }
    )


def attempt(row: RequestLog, number: int = 1, **columns: Any) -> Attempt:
    fields = {
        "provider_slug": "acme",
        "upstream_id": "large-1",
        "outcome": "ok",
        "started_at": row.created_at,
        "latency_ms": 100,
        **columns,
    }
    return Attempt.objects.create(request=row, number=number, **fields)


def test_models_lists_what_the_key_may_use() -> None:
    told = get("models").json()
    large = next(model for model in told["models"] if model["name"] == "acme-large")
    assert large["price"] == [{"min_prompt_tokens": 0, "input": "0.25", "output": "1.5", "cache_read": "0.025", "cache_write": None}]
    assert (large["context_window"], large["capabilities"], large["available"], large["auto"]) == (
        100_000,
        ["json_schema", "tools"],
        True,
        True,
    )
    old = next(model for model in told["models"] if model["name"] == "acme-old")
    assert (old["lifecycle"], old["successor"], old["available"], old["price"]) == ("retired", "acme-large", False, None)
    assert [alias["name"] for alias in told["aliases"]] == ["any", "big"]


def test_models_hides_what_the_key_may_not_use(gateway: FakeGateway) -> None:
    gateway.keys["one-alias"] = identity(models=frozenset({"big"}))
    told = get("models", "one-alias").json()
    assert [model["name"] for model in told["models"]] == ["acme-large"]
    assert [alias["name"] for alias in told["aliases"]] == ["big"]


def test_status_of_a_healthy_gateway(provider: Provider) -> None:
    checked = datetime(2026, 11, 20, tzinfo=UTC)
    ProviderKey.objects.create(provider=provider, checked_at=checked, state="valid")
    row = log(team("one"))
    for number, (outcome, latency) in enumerate([("ok", 100), ("ok", 300), ("failed", 5), ("cancelled", 9)], 1):
        attempt(row, number, outcome=outcome, latency_ms=latency, provider=provider)
    told = get("status").json()
    assert (told["overall_status"], told["active_strategy"]) == ("healthy", "enterprise")
    large = next(model for model in told["models"] if model["model"] == "acme-large")
    assert (large["availability"], large["breaker"]["state"], large["key_state"]) == ("available", "closed", "valid")
    assert datetime.fromisoformat(large["last_check"]) == checked
    assert large["last_hour"] == {"requests": 3, "success_rate": 0.6667, "p50_ms": 100.0, "p95_ms": 300.0}
    old = next(model for model in told["models"] if model["model"] == "acme-old")
    assert (old["availability"], old["reason"], old["successor"]) == ("unavailable", "retired by its provider", "acme-large")


def test_status_forgets_what_is_older_than_an_hour(provider: Provider) -> None:
    from llm_gateway.core.ids import uuid7

    before = uuid7(int((datetime.now(UTC) - timedelta(hours=2)).timestamp() * 1000), b"0123456789")
    attempt(log(team("one"), id=before), provider=provider)
    large = next(model for model in get("status").json()["models"] if model["model"] == "acme-large")
    assert large["last_hour"] == {"requests": 0, "success_rate": None, "p50_ms": None, "p95_ms": None}


def test_status_tells_what_rests_and_why(gateway: FakeGateway) -> None:
    gateway.health = {(11, "large-1"): {"state": "open", "reason": "server_error", "wait_s": 12.5}}
    told = get("status").json()
    assert told["overall_status"] == "degraded"
    large = next(model for model in told["models"] if model["model"] == "acme-large")
    assert (large["availability"], large["breaker"]["state"], large["reason"]) == ("unavailable", "open", "server_error")
    assert datetime.fromisoformat(large["breaker"]["until"]) > datetime.now(UTC)
    gateway.health[22, "mini"] = {"state": "off", "reason": "refused", "wait_s": None}
    assert get("status").json()["overall_status"] == "down"


def test_status_needs_few_queries(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lately, "FRESH_S", 600)  # a busy machine may take longer than what stands here
    for number in range(20):
        attempt(log(team(f"t{number}")), provider=provider)
    cache.clear()
    for most in (4, 2):  # the last minutes are read once in a few seconds
        with CaptureQueriesContext(connection) as queries:
            async_to_sync(Caller().get)("status")
        assert len(queries) <= most


def test_strategy_tells_what_is_in_force_since_when_and_by_whom(django_user_model: Any) -> None:
    told = get("strategy").json()
    assert (told["active"], told["active_since"], told["active_by"]) == ("enterprise", None, None)
    boss = django_user_model.objects.create_user("boss")
    row = Strategy.objects.create(name="enterprise", kind="enterprise", title="Enterprise", active=True)
    StrategyActivation.objects.create(strategy=row, by=boss)
    told = get("strategy").json()
    assert told["active_by"] == "boss"
    assert datetime.fromisoformat(told["active_since"])
    shown = {one["name"]: one for one in told["strategies"]}
    assert (shown["enterprise"]["active"], shown["ab-testing"]["active"]) == (True, False)
    assert shown["enterprise"]["summary"]


@pytest.mark.parametrize("name", ["ab-testing", "ab_testing", "AB-Testing"])
def test_a_strategy_is_put_in_force(name: str) -> None:
    for slug, kind in (("enterprise", "enterprise"), ("ab-testing", "ab-testing")):
        Strategy.objects.create(name=slug, kind=kind, title=slug, active=slug == "enterprise")
    response = post("strategy/set", {"strategy": name})
    assert response.status_code == 200, response.text
    assert response.json() == {"active": "ab-testing", "previous": "enterprise", "changed": True}
    assert Strategy.objects.get(active=True).name == "ab-testing"
    assert StrategyActivation.objects.get().via == "client key tests"


def test_a_switch_tells_the_truth_before_the_snapshot_follows() -> None:
    for slug in ("enterprise", "ab-testing"):
        Strategy.objects.create(name=slug, kind=slug, title=slug, active=slug == "enterprise")
    switches = [post("strategy/set", {"strategy": name}).json() for name in ("ab-testing", "enterprise", "enterprise", "ab-testing")]
    assert [(said["previous"], said["changed"]) for said in switches] == [
        ("enterprise", True),
        ("ab-testing", True),
        ("enterprise", False),
        ("enterprise", True),
    ]
    told = get("strategy").json()
    assert told["active"] == "ab-testing"
    assert [one["name"] for one in told["strategies"] if one["active"]] == ["ab-testing"]


def test_an_unknown_strategy_names_the_known(gateway: FakeGateway) -> None:
    response = post("strategy/set", {"strategy": "luck"})
    assert response.status_code == 400
    assert "ab-testing, enterprise" in response.json()["error"]["message"]
    assert gateway.rejected == []


def test_reading_is_not_managing(gateway: FakeGateway) -> None:
    gateway.keys["reader"] = identity(scopes=frozenset({Scope.READ}))
    assert post("strategy/set", {"strategy": "enterprise"}, "reader").status_code == 403
    assert post("keys/refresh", {}, "reader").status_code == 403


@pytest.mark.parametrize(
    ("states", "overall"),
    [([], "none_valid"), (["valid", "valid"], "all_valid"), (["valid", "invalid"], "degraded"), (["invalid", "unchecked"], "none_valid")],
)
def test_keys_status_sums_up(provider: Provider, states: list[str], overall: str) -> None:
    for number, state in enumerate(states):
        ProviderKey.objects.create(
            provider=provider, name=f"k{number}", state=state, hint="…abcd", ciphertext="sealed-text", reason="because"
        )
    ProviderKey.objects.create(provider=provider, name="off", state="invalid", enabled=False)
    response = get("keys/status")
    told = response.json()
    assert told["overall_status"] == overall
    assert len(told["keys"]) == len(states) + 1
    assert "sealed-text" not in response.text
    if states:
        assert {"provider": "acme", "masked": "…abcd", "reason": "because"}.items() <= told["keys"][0].items()


def test_keys_are_checked_on_demand(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_gateway.api.native import keys

    one = ProviderKey.objects.create(provider=provider, name="one")
    ProviderKey.objects.create(provider=provider, name="off", enabled=False)
    checked: list[list[int]] = []

    async def check(ids: list[int]) -> None:
        checked.append(ids)
        await ProviderKey.objects.filter(pk__in=ids).aupdate(state="valid")

    monkeypatch.setattr(keys, "_check", check)
    assert post("keys/refresh", None).json()["overall_status"] == "all_valid"
    assert post("keys/refresh", {"providers": ["acme"]}).json()["keys"][0]["name"] == "one"
    assert checked == [[one.pk], [one.pk]]
    refused = post("keys/refresh", {"keys": [4711]})
    assert (refused.status_code, refused.json()["error"]["details"]["param"]) == (400, "keys")


# Results.


def test_results_tell_each_request_with_its_attempts(provider: Provider) -> None:
    one = team("one")
    key = ClientKey.objects.create(team=one, name="app", public_id="a" * 12, digest=b"")
    model = LanguageModel.objects.create(provider=provider, name="acme-large", upstream_id="large-1")
    row = log(
        one, client_key=key, model=model, provider=provider, provider_slug="acme", input_tokens=3, cost_nusd=0, usage_source="reported",
        http_status=200, decision={"note": "n"}, metadata={"a": 1},
    )  # fmt: skip
    attempt(row, 1, outcome="failed", error_class="overloaded", http_status=529)
    attempt(row, 2)
    (told,) = get_as(one.pk, "").json()["results"]
    assert (told["id"], told["client"], told["team"], told["model"], told["provider"]) == (str(row.pk), "app", "one", "acme-large", "acme")
    assert (told["cost"], told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == ({"amount": "0.00", "currency": "USD"}, 3, None)
    assert [(a["outcome"], a["status"], a["error"]) for a in told["attempts"]] == [("failed", 529, "overloaded"), ("ok", None, None)]
    assert (told["decision"], told["metadata"]) == ({"note": "n"}, {"a": 1})


def get_as(team_id: int, query: str, staff: bool = False) -> Any:
    from llm_gateway.api.native import host

    fake = FakeGateway()
    fake.keys[KEY] = identity(team_id=team_id, key_id=None if staff else 7)
    with host.hosted(fake):
        return get(f"performance/results{query}")


def test_a_key_sees_its_own_teams_rows_whatever_it_asks() -> None:
    mine, theirs = team("mine"), team("theirs")
    own, foreign = log(mine), log(theirs, strategy="enterprise")
    key = ClientKey.objects.create(team=theirs, name="their-app", public_id="b" * 12, digest=b"")
    log(theirs, client_key=key)
    for query in (
        "",
        "?client=their-app",
        "?client=bbbbbbbbbbbb",
        "?strategy=enterprise",
        f"?cursor={UUID(int=(1 << 128) - 1)}",
        "?kind=generate",
    ):
        ids = [row["id"] for row in get_as(mine.pk, query).json()["results"]]
        assert set(ids) <= {str(own.pk)}
        assert str(foreign.pk) not in ids
    assert len(get_as(0, "", staff=True).json()["results"]) == 3


@pytest.mark.parametrize(
    "query",
    ["team=2", "_connector=OR", "team__slug=x", "client_key__digest__startswith=a", "tenant=1", "password__contains=a",
     "state=ok&state=failed",
     "from=yesterday", "to=2026-99-99", "limit=0", "limit=201", "limit=abc", "limit=1e2", "cursor=1", "cursor=';--", "model=" + "m" * 300],
)  # fmt: skip
def test_a_filter_that_does_not_exist_is_refused(query: str) -> None:
    response = get(f"performance/results?{query}")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")


def test_an_unknown_filter_is_told_the_known() -> None:
    assert "model, provider, strategy, client" in get("performance/results?user=1").json()["error"]["message"]


def test_filters_choose_rows() -> None:
    one = team("one")
    model = LanguageModel.objects.create(
        provider=Provider.objects.create(slug="p", title="P", wire="openai_chat", base_url="http://x.test"), name="m"
    )
    old = datetime(2026, 1, 2, 12, tzinfo=UTC)
    wanted = log(one, model=model, provider_slug="p", strategy="ab-testing", state="failed", kind="analyze", created_at=old)
    log(one)
    for query in (
        "model=m",
        "provider=p",
        "strategy=ab-testing",
        "state=failed",
        "kind=analyze",
        "to=2026-01-03",
        "from=2026-01-02&to=2026-01-02T13:00:00Z",
    ):
        assert [row["id"] for row in get_as(one.pk, f"?{query}").json()["results"]] == [str(wanted.pk)], query
    assert len(get_as(one.pk, "?model=&format=json").json()["results"]) == 2


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    one = team("one")
    for index in range(7):
        attempt(log(one, id=UUID(int=(7 << 76) | index)))
    seen: list[str] = []
    query = "?limit=3"
    while query:
        told = get_as(one.pk, query).json()
        seen += [row["id"] for row in told["results"]]
        query = f"?limit=3&cursor={told['next_cursor']}" if told["next_cursor"] else ""
        assert bool(told["next"]) == bool(query)
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 7


def test_a_page_needs_the_same_few_queries_whatever_its_size() -> None:
    one = team("one")
    for _ in range(30):
        attempt(log(one))
    with CaptureQueriesContext(connection) as queries:
        async_to_sync(Caller().get)("performance/results?limit=30")
    assert len(queries) <= 2


# Test calls.


def test_each_chosen_model_is_called_once(gateway: FakeGateway) -> None:
    gateway.pipeline.answers = ["OK", RateLimited("slow down")]
    told = post("test", {"models": ["big", "zenith-mini", "big"]}).json()
    assert (told["succeeded"], told["failed"]) == (1, 1)
    good, bad = told["results"]
    assert (good["model"], good["ok"], good["served_by"], good["cost"]["amount"]) == ("big", True, "acme-large", "0.0000125")
    assert (bad["model"], bad["ok"], bad["error"]["code"], bad["error"]["request_id"]) == ("zenith-mini", False, "rate_limited", bad["id"])
    assert {call.kind for call in gateway.pipeline.calls} == {"test"}
    assert len({call.id for call in gateway.pipeline.calls}) == 2
    assert all((call.inbound.max_tokens or 99) <= 16 and call.deadline_s for call in gateway.pipeline.calls)


def test_get_calls_every_model_a_strategy_may_choose(gateway: FakeGateway) -> None:
    gateway.pipeline.answers = ["OK", "OK"]
    gateway.pipeline.served = target("zenith-mini")
    told = get("test").json()
    assert [result["model"] for result in told["results"]] == ["acme-large", "zenith-mini"]
    assert told["cost"]["amount"] == "0.000025"


@pytest.mark.parametrize("body", [{}, {"models": []}, {"models": ["m"] * 11}, {"models": "big"}, {"models": [""]}])
def test_a_wrong_choice_is_refused(gateway: FakeGateway, body: object) -> None:
    assert post("test", body).status_code == 400
    assert gateway.rejected[0]["kind"] == "test"


def test_the_root_lists_the_endpoints() -> None:
    told = get("").json()
    names = {link["name"] for link in told["endpoints"]}
    assert {"status", "generate", "strategy/set", "performance/results", "keys/refresh"} <= names
    assert MODELS
