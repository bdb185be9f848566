"""The performance endpoints: figures for programs, each team's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from llm_gateway.core.catalog import Scope
from tests.analytics import factories
from tests.analytics.doors import Door, program

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
RANGE = {"from": "2026-11-18", "to": "2026-11-19T00:00:00Z"}
METRICS, COMPARISON = "/api/ai-models/performance/metrics", "/api/ai-models/performance/comparison"


def get(url: str, headers: dict[str, str], **query: str) -> Any:
    return Client().get(url, RANGE | query, headers=headers)


def test_figures_of_ones_own_team(door: Door) -> None:
    mine, other = factories.client_key("mine"), factories.client_key("other", factories.team("Other"))
    served = factories.model("one", factories.provider())
    for _ in range(3):
        factories.request(AT, mine, served, cost_nusd=1_000_000, ttft_ms=200, reasoning_tokens=5)
    factories.request(AT, mine, served, state="failed", cost_nusd=None)
    factories.request(AT, other, served)
    key = program(door, "key", mine.team_id, Scope.READ)
    found = get(METRICS, key).json()
    assert (found["requests"], found["successes"], found["success_rate"]) == (4, 3, 0.75)
    assert found["cost"] == {"amount": "0.003", "currency": "USD"}
    assert (found["unknown_cost_requests"], found["tokens"]["reasoning_tokens"], found["tokens"]["input_tokens"]) == (1, 15, 400)
    assert (found["latency_ms"]["avg"], found["ttft_ms"]["avg"]) == (1000, 200)
    assert found["latency_ms"]["p95"] == pytest.approx(1000, rel=0.05)
    assert get(METRICS, key, client="other").json()["requests"] == 0
    assert get(METRICS, key, client="mine", model="one", provider="acme", strategy="enterprise").json()["requests"] == 4
    assert get(METRICS, key, model="none").json()["requests"] == 0


def test_models_side_by_side(door: Door) -> None:
    mine = factories.client_key("mine")
    acme = factories.provider()
    for name, count in (("one", 1), ("two", 3)):
        served = factories.model(name, acme)
        for number in range(count):
            factories.request(AT, mine, served, latency_ms=100 + number)
    found = get(COMPARISON, program(door, "key", mine.team_id, Scope.READ)).json()["models"]
    assert [(m["model"], m["provider"], m["requests"]) for m in found] == [("two", "acme", 3), ("one", "acme", 1)]
    assert 0 < found[0]["success_rate_ci"]["low"] < found[0]["success_rate_ci"]["high"] == 1
    assert found[0]["latency_avg_ci_ms"]["low"] < 101 < found[0]["latency_avg_ci_ms"]["high"]
    assert (found[1]["latency_avg_ci_ms"], found[1]["cost_per_request"]["amount"]) == (None, "0.0002")


def test_staff_see_every_team(door: Door) -> None:
    for name in ("A", "B"):
        factories.request(AT, factories.client_key(name, factories.team(name)), None)
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    assert client.get(METRICS, RANGE, headers={"Accept": "application/json"}).json()["requests"] == 2


@pytest.mark.parametrize("url", [METRICS, COMPARISON, f"{METRICS}/"])
def test_nobody_without_the_scope(door: Door, url: str) -> None:
    assert get(url, {}).status_code == 401
    assert get(url, {"Authorization": "Bearer nobody"}).status_code == 401
    assert get(url, program(door, "writer", 1, Scope.GENERATE)).status_code == 403
    assert get(url, program(door, "reader", 1, Scope.READ)).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"to": "2026-99-99"},
        {"from": "2026-11-20"},
        {"from": "2001-01-01"},
        {"colour": "red"},
        {"model": "x" * 300},
        {"to": "9999999-01-01"},
    ],
)
def test_nonsense_is_refused_with_a_reason(door: Door, query: dict[str, str]) -> None:
    answer = get(METRICS, program(door, "key", 1, Scope.READ), **query)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_nothing_known_is_null(door: Door) -> None:
    found = get(METRICS, program(door, "key", 1, Scope.READ)).json()
    assert (found["requests"], found["success_rate"], found["latency_ms"]["p50"]) == (0, None, None)
    assert get(COMPARISON, program(door, "key", 1, Scope.READ)).json()["models"] == []
