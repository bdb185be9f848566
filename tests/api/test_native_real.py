"""The native API through the real door, pipeline and journal, with the simulator as every provider."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.api.native.fakes import events_of
from tests.support.clock import Stopwatch
from tests.support.gateway import GatewayServer

CODE = {"code": "def add(a, b):\n    return a - b\n", "analysis_type": "quality", "language": "python"}


class Native:
    def __init__(self, gateway: GatewayServer, key: str | None = None) -> None:
        self.gateway = gateway
        self.headers = {"authorization": f"Bearer {key or gateway.rows.key}"}

    def get(self, path: str) -> httpx.Response:
        return self.gateway.http.get(f"/api/ai-models/{path}", headers=self.headers)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.gateway.http.post(f"/api/ai-models/{path}", json=body, headers={**self.headers, **headers})

    def row(self, request_id: str) -> Any:
        from llm_gateway.models import RequestLog

        self.gateway.quiet()
        return RequestLog.objects.get(pk=UUID(request_id))


@pytest.fixture
def native(gateway: GatewayServer) -> Native:
    return Native(gateway)


@pytest.fixture
def narrow(gateway: GatewayServer) -> Native:
    """With a key for one model only."""
    from llm_gateway.models import ClientKey

    ClientKey.objects.filter(name="narrow").update(name=f"narrow-{time.monotonic_ns()}")
    return Native(gateway, gateway.issue("narrow", models=("sim-openai",)))


def test_an_answer_and_its_row_agree(native: Native) -> None:
    response = native.post("generate", {"prompt": "Write a function.", "model": "chat/any", "metadata": {"ticket": 7}, "task_type": "test"})
    told = response.json()
    row = native.row(told["id"])
    assert (response.status_code, row.state, row.kind, row.dialect) == (200, "ok", "generate", "native")
    assert (row.metadata, row.asked_model, row.provider_slug) == ({"ticket": 7}, "chat/any", "chat")
    assert told["usage"]["input_tokens"] == row.input_tokens
    assert told["cost"]["amount"] == response.headers["x-cogo-cost"]
    assert round(float(told["cost"]["amount"]) * 1e9) == row.cost_nusd
    assert told["model"] == response.headers["x-cogo-model"] == "any"
    assert response.headers["x-cogo-simulated" if row.simulated else "x-cogo-provider"]


def test_the_active_strategy_answers_when_no_model_is_named(native: Native) -> None:
    told = native.post("generate", {"prompt": "x", "max_tokens": 20}).json()
    assert (told["strategy"], told["model"]) == ("enterprise", "sim-fireworks")
    assert native.post("generate", {"prompt": "x", "strategy": "nothing-like-it"}).status_code == 404


def test_a_stream_flows_and_is_settled_before_done(native: Native) -> None:
    body = {"prompt": "Write much.", "model": "chat/any", "stream": True}
    with native.gateway.http.stream("POST", "/api/ai-models/generate", json=body, headers=native.headers) as response:
        pieces = list(response.iter_text())
    events = events_of("".join(pieces))
    assert [name for name, _ in events][:: len(events) - 1] == ["start", "done"]
    assert events[0][1]["strategy"] == "named"
    row = native.row(events[0][1]["id"])
    assert (row.state, row.stream, events[-1][1]["usage"]["output_tokens"]) == ("ok", True, row.output_tokens)


@pytest.mark.parametrize("fault", ["rst@2", "noterm@2", "err:overloaded_error@2", "badsse@2"])
def test_a_stream_that_breaks_has_an_error_and_no_done(native: Native, fault: str) -> None:
    text = native.post("generate", {"prompt": "x", "model": f"chat/fault:{fault}", "stream": True}).text
    names = [name for name, _ in events_of(text)]
    assert names[0] == "start"
    assert names[-1] == "error"
    assert "done" not in names
    assert native.row(events_of(text)[0][1]["id"]).state == "partial"


def test_content_comes_before_the_end_and_a_caller_who_leaves_is_settled(native: Native) -> None:
    body = {"prompt": "x", "model": "chat/fault:stall@3", "stream": True}
    with native.gateway.http.stream("POST", "/api/ai-models/generate", json=body, headers=native.headers) as response:
        first = next(response.iter_text())
    watch = Stopwatch()
    row = native.row(events_of(first)[0][1]["id"])
    assert row.state == "client_cancelled"
    assert watch.took_s < 2


def test_a_caller_who_leaves_before_the_answer_is_settled_too(native: Native) -> None:
    native.gateway.clocks("chat", first_event=20_000)
    body = {"prompt": "x", "model": "chat/fault:silent"}
    with pytest.raises(httpx.ReadTimeout):
        native.gateway.http.post("/api/ai-models/generate", json=body, headers=native.headers, timeout=0.5)
    assert native.gateway.last_row().state == "client_cancelled"


def test_a_deadline_of_the_callers_is_kept(native: Native) -> None:
    watch = Stopwatch()
    response = native.post("generate", {"prompt": "x", "model": "chat/fault:silent"}, **{"x-request-timeout-ms": "300"})
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert watch.wall_s > 0.25
    assert watch.took_s < 1.5


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"prompt": "x", "model": "chat/any"}, 404, "model_not_found"),
        ({"prompt": 5}, 400, "invalid_request"),
        ({"prompt": "x", "max_tokens": 10**9}, 400, "invalid_request"),
    ],
)
def test_a_refused_request_has_exactly_one_row(narrow: Native, body: dict[str, Any], status: int, code: str) -> None:
    response = narrow.post("generate", body)
    told = response.json()["error"]
    row = narrow.row(told["request_id"])
    assert (response.status_code, told["code"]) == (status, code)
    assert (row.state, row.error_code, row.http_status, row.kind) == ("rejected", code, status, "generate")


def test_a_failure_upstream_has_one_row_and_its_own_code(native: Native) -> None:
    response = native.post("generate", {"prompt": "x", "model": "chat/fault:status:500"})
    row = native.row(response.json()["error"]["request_id"])
    assert (response.status_code, row.state, row.error_code) == (502, "failed", "upstream_error")


def test_an_oversized_body_is_refused_by_the_door(native: Native) -> None:
    native.gateway.door.arrivals.cap, before = 1000, native.gateway.door.arrivals.cap
    try:
        response = native.post("generate", {"prompt": "x" * 2000})
    finally:
        native.gateway.door.arrivals.cap = before
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("model", ["chat/any", "claude/any", "gem/any", "responses/any"])
def test_analyses_come_from_every_wire(native: Native, model: str) -> None:
    response = native.post("analyze", {**CODE, "model": model})
    told = response.json()
    assert response.status_code == 200, told
    assert told["analysis"]["summary"]
    assert all(finding["message"] for finding in told["analysis"]["findings"])
    assert native.row(told["id"]).kind == "analyze"


def test_an_analysis_streams(native: Native) -> None:
    events = events_of(native.post("analyze", {**CODE, "model": "chat/any", "stream": True}).text)
    assert (events[0][0], events[-1][0]) == ("start", "done")
    assert events[-1][1]["analysis"]["summary"]


def test_models_are_tried_at_a_cost(native: Native) -> None:
    told = native.get("test").json()
    assert told["succeeded"] == 4, told
    assert float(told["cost"]["amount"]) > 0
    assert all(native.row(result["id"]).kind == "test" for result in told["results"])


def test_status_models_and_keys_tell_what_is_there(native: Native) -> None:
    status = native.get("status").json()
    assert "sim-openai" in {model["model"] for model in status["models"]}
    assert next(model for model in native.get("models").json()["models"] if model["name"] == "sim-openai")["price"]
    keys = native.get("keys/status")
    assert keys.json()["overall_status"] == "all_valid"
    assert "sim-valid" not in keys.text


def test_keys_are_checked_at_their_providers(native: Native) -> None:
    from llm_gateway.models import ProviderKey

    ProviderKey.objects.filter(provider__slug="openai").update(state="unchecked")
    told = native.post("keys/refresh", {"providers": ["openai"]}).json()
    assert [key["state"] for key in told["keys"]] == ["valid"]


def test_a_switched_strategy_is_used_at_once(native: Native) -> None:
    try:
        assert native.post("strategy/set", {"strategy": "performance_based"}).json()["active"] == "performance-based"
        native.gateway.refresh()
        assert native.get("strategy").json()["active"] == "performance-based"
        assert native.post("generate", {"prompt": "x", "max_tokens": 5}).json()["strategy"] == "performance-based"
    finally:
        native.post("strategy/set", {"strategy": "enterprise"})
        native.gateway.refresh()


def test_another_teams_rows_are_never_told(native: Native) -> None:
    from llm_gateway.actions.create_client_key import ensure_team

    other = Native(native.gateway, native.gateway.issue("peer", team=ensure_team("peers")))
    mine = native.post("generate", {"prompt": "x", "model": "chat/any"}).json()["id"]
    theirs = other.post("generate", {"prompt": "x", "model": "chat/any"}).json()["id"]
    native.gateway.quiet()
    assert {row["id"] for row in other.get("performance/results").json()["results"]} == {theirs}
    assert mine in {row["id"] for row in native.get("performance/results").json()["results"]}


@pytest.fixture
def browser(gateway: GatewayServer) -> Iterator[httpx.Client]:
    from django.contrib.auth import get_user_model
    from django.contrib.sessions.models import Session
    from django.test import Client

    user = get_user_model().objects.create_superuser("boss", "b@example.org", "a long passphrase")
    client = Client()
    client.force_login(user)
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    with httpx.Client(base_url=gateway.url, cookies=cookies, trust_env=False, timeout=20) as found:
        yield found
    user.delete()
    Session.objects.all().delete()


def test_staff_generate_from_the_browser(browser: httpx.Client, native: Native) -> None:
    from django.contrib.auth import get_user_model

    page = browser.get("/api/ai-models/generate", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "field-prompt" in page.text
    body = {"prompt": "x", "model": "chat/any"}
    assert browser.post("/api/ai-models/generate", json=body).status_code == 403
    token = json.loads(page.text.split('id="drf_csrf">')[1].split("</script>")[0])["csrfToken"]
    response = browser.post("/api/ai-models/generate", json=body, headers={"x-csrftoken": token})
    assert response.status_code == 200, response.text
    row = native.row(response.json()["id"])
    assert (row.user_id, row.client_key_id, row.team.slug) == (get_user_model().objects.get(username="boss").pk, None, "gateway")
    form = browser.post("/api/ai-models/generate", data={**body, "csrfmiddlewaretoken": token}, headers={"accept": "text/html"})
    assert form.status_code == 200, form.text[form.text.index("response-info") :][:1500]
    assert (form.status_code, form.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    "query",
    [
        "from=0001-01-01T00:00:00%2B14:00",
        "to=9999-12-31T23:59:59-14:00",
        "from=2026-13-45",
        "limit=%C2%B2",
        "limit=000050999999",
        "limit=000050" + "9" * 100,
        "cursor=%00",
    ],
)
def test_a_filter_beyond_reason_is_the_callers_mistake(native: Native, query: str) -> None:
    answer = native.get(f"performance/results?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"]["param"] == query.partition("=")[0]


READ, SPEND, MANAGE = ("performance/results", "reports/cost", "status"), ("generate",), ("strategy/set",)
LOOKS = {*READ, "keys/status", "explain"}
MAY = {"viewer": LOOKS, "operator": {*LOOKS, *SPEND, *MANAGE}, "finance": {*READ, "explain"}, "auditor": LOOKS, "": set()}


@pytest.fixture
def signed_in(gateway: GatewayServer, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A browser of somebody on the staff with that role, or none."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import Group, User

    from cogo.sessions import SessionStore

    user = User.objects.create_user("somebody", is_staff=True)
    user.groups.set(Group.objects.filter(name=request.param))
    session = SessionStore()
    session.update(
        {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
    )
    session.save()
    token = "c" * 32
    with httpx.Client(
        base_url=gateway.url, headers={"x-csrftoken": token}, cookies={"sessionid": str(session.session_key), "csrftoken": token}
    ) as browser:
        yield browser
    session.delete()
    user.delete()


@pytest.mark.parametrize(("signed_in", "role"), [(role, role) for role in MAY], indirect=["signed_in"])
def test_staff_may_here_what_their_role_may_in_the_console(signed_in: httpx.Client, role: str) -> None:
    body = {"prompt": "hi", "strategy": "enterprise"}
    answers = {path: signed_in.get(f"/api/ai-models/{path}") for path in (*READ, "keys/status")}
    answers |= {path: signed_in.post(f"/api/ai-models/{path}", json=body) for path in ("explain", *SPEND)}
    answers |= {path: signed_in.post(f"/api/ai-models/{path}", json={"strategy": "enterprise"}) for path in MANAGE}
    assert {path for path, answer in answers.items() if answer.status_code == 200} == MAY[role]
    assert {answer.status_code for path, answer in answers.items() if path not in MAY[role]} <= {403}


# What each route of the native API takes from a session; a route that is not here fails the inventory below.
ROUTES = {
    ("GET", ""): "anything", ("GET", "status"): "read", ("GET", "models"): "read", ("GET", "strategy"): "read", ("GET", "test"): "spend",
    ("GET", "performance/results"): "read", ("GET", "performance/metrics"): "reports", ("GET", "performance/comparison"): "reports",
    ("GET", "reports/cost"): "reports", ("GET", "reports/savings"): "reports", ("GET", "reports/forecast"): "reports",
    ("GET", "keys/status"): "keys", ("POST", "explain"): "read", ("POST", "generate"): "spend", ("POST", "analyze"): "spend",
    ("POST", "test"): "spend", ("POST", "strategy/set"): "switch", ("POST", "keys/refresh"): "check",
    ("POST", "score"): "spend", ("POST", "feedback"): "spend",
    ("GET", "batches"): "read", ("POST", "batches"): "spend", ("GET", "batches/(?P<id>[^/]+)"): "read",
    ("GET", "batches/(?P<id>[^/]+)/results"): "texts", ("GET", "batches/(?P<id>[^/]+)/files.zip"): "texts",
    ("POST", "batches/(?P<id>[^/]+)/cancel"): "spend", ("POST", "batches/(?P<id>[^/]+)/retry-failed"): "spend",
    ("GET", "experiments"): "read", ("POST", "experiments"): "switch", ("GET", "experiments/(?P<experiment>[0-9]+)"): "read",
    ("POST", "experiments/(?P<experiment>[0-9]+)/start"): "switch", ("POST", "experiments/(?P<experiment>[0-9]+)/stop"): "switch",
    ("GET", "policies"): "read", ("POST", "policies"): "switch", ("GET", "policies/(?P<version>[0-9]+)"): "read",
    ("POST", "policies/(?P<version>[0-9]+)/replay"): "switch", ("GET", "policies/replays/(?P<replay>[0-9]+)"): "read",
    ("POST", "policies/(?P<version>[0-9]+)/approve"): "approve", ("POST", "policies/(?P<version>[0-9]+)/activate"): "switch",
    ("POST", "policies/rollback"): "switch",
}  # fmt: skip
READERS = {"anything", "read", "reports"}
GRANTED = {
    "viewer": {*READERS, "keys"},
    "operator": {*READERS, "keys", "spend", "switch", "check", "approve"},
    "finance": READERS,
    "auditor": {*READERS, "keys"},
    "": {"anything"},
}
BODIES: dict[str, Any] = {
    "analyze": {"code": "x = 1", "model": "chat/fault:ok"},
    "test": {"models": ["chat/fault:ok"]},
    "strategy/set": {"strategy": "enterprise"},
    "keys/refresh": {"providers": []},
    "score": {"code": "x = 1"},
}


@pytest.mark.parametrize(("signed_in", "role"), [(role, role) for role in GRANTED], indirect=["signed_in"])
def test_every_route_and_method_takes_from_a_session_what_its_role_may(signed_in: httpx.Client, role: str) -> None:
    for (method, pattern), needed in ROUTES.items():
        path = re.sub(r"\(\?P<.*?>\[.*?\]\+\)", "99", pattern)
        body = BODIES.get(path, {"prompt": "hi", "model": "chat/fault:ok"})
        answer = signed_in.request(method, f"/api/ai-models/{path}", json=body if method == "POST" else None)
        assert (answer.status_code != 403) == (needed in GRANTED[role]), (method, path, answer.status_code)
    for path in {re.sub(r"\(\?P<.*?>\[.*?\]\+\)", "99", path) for _, path in ROUTES}:
        for method in ("PUT", "PATCH", "DELETE"):
            refused = (403, 404, 405) if "99" in path else (403, 405)
            assert signed_in.request(method, f"/api/ai-models/{path}").status_code in refused, (method, path)
    for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/auto:generateContent"):
        assert signed_in.post(path, json={"model": "auto", "messages": []}).status_code == 401, "a session is no client key"


def test_the_table_of_routes_has_every_route() -> None:
    from django.urls import get_resolver

    from llm_gateway.api.native.index import PREFIX, _flat

    found = set()
    for pattern in _flat(get_resolver().url_patterns):
        if (
            not hasattr(pattern.callback, "cls")
            or not str(pattern.name).startswith("native-")
            or pattern.name == "native-index"
            or "api/schema" in str(pattern.pattern)
            or "api/docs" in str(pattern.pattern)
        ):
            continue
        view = pattern.callback.cls
        path = str(pattern.pattern).strip("^$").removesuffix("/?").removeprefix(PREFIX)
        name = {"native-performance-metrics": "performance/metrics", "native-performance-comparison": "performance/comparison"}
        path = name.get(str(pattern.name), f"reports/{path}" if str(pattern.name).startswith("native-report-") else path)
        found |= {(method.upper(), path) for method in ("get", "post") if hasattr(view, method)}
    assert found == {route for route in ROUTES if route[1]}


@pytest.mark.parametrize("signed_in", ["operator"], indirect=True)
def test_what_the_browser_spends_is_bound_by_the_budgets_of_the_gateway_s_own_team(gateway: GatewayServer, signed_in: httpx.Client) -> None:
    from llm_gateway.models import Budget, Team

    body = {"prompt": "hi", "model": "chat/fault:ok"}
    assert signed_in.post("/api/ai-models/generate", json=body).status_code == 200
    team = Team.objects.get(slug="gateway")
    budget = Budget.objects.create(name="browser", team=team, limit_nusd=1, hard=True)
    gateway.refresh()
    refused = signed_in.post("/api/ai-models/generate", json=body)
    budget.delete()
    Team.objects.filter(pk=team.pk).update(enabled=False)
    gateway.refresh()
    switched_off = signed_in.post("/api/ai-models/generate", json=body)
    Team.objects.filter(pk=team.pk).update(enabled=True)
    gateway.refresh()
    assert refused.status_code in (402, 429), refused.text
    assert switched_off.status_code == 403
