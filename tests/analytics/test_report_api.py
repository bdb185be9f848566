"""The report endpoints: savings, forecast, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from analytics import rollups
from llm_gateway.core.catalog import Scope
from llm_gateway.models import Budget, Price
from tests.analytics import factories
from tests.analytics.doors import Door, program

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
RANGE = {"from": "2026-11-17", "to": "2026-11-20"}
BASE = "/api/ai-models/reports"


def get(report: str, headers: dict[str, str], **query: str) -> Any:
    return Client().get(f"{BASE}/{report}", query, headers=headers)


@pytest.fixture
def key(door: Door) -> dict[str, str]:
    return program(door, "key", factories.team().pk, Scope.READ)


@pytest.mark.parametrize("report", ["cost", "savings", "forecast"])
@pytest.mark.parametrize(
    "query",
    [{"colour": "red"}, {"simulated": "maybe"}, {"by": "password"}, {"from": "yesterday"}, {"baseline": "nothing"}, {"period": "year"}],
)
def test_nonsense_is_refused_with_a_reason(key: dict[str, str], report: str, query: dict[str, str]) -> None:
    answer = get(report, key, **query)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("report", ["cost", "savings", "forecast", "cost/"])
def test_nobody_without_the_scope(door: Door, report: str) -> None:
    assert get(report, {}).status_code == 401
    assert get(report, program(door, "writer", 1, Scope.GENERATE)).status_code == 403
    assert get(report, program(door, "reader", 1, Scope.READ)).status_code == 200


def test_staff_see_every_team_and_can_choose_one(door: Door) -> None:
    for name in ("A", "B"):
        factories.request(DAY, factories.client_key(name, factories.team(name)), None, cost_nusd=10**9)
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    for query, total in (({}, "2.00"), ({"team": "a"}, "1.00"), ({"team": "nobody"}, "0.00")):
        body = client.get(f"{BASE}/cost", RANGE | query, headers={"Accept": "application/json"}).json()
        assert body["total"]["total"] == {"amount": total, "currency": "USD"}


def test_a_days_rows_stay_one_whatever_moment_the_range_ends(key: dict[str, str]) -> None:
    owner = factories.client_key()
    for hours in range(0, 24 * 12, 5):
        factories.request(DAY - timedelta(hours=hours), owner, None)
    body = get("cost", key, by="day", **{"from": "2026-11-05T05:30:00Z", "to": "2026-11-18T14:10:00Z"}).json()
    days = [row["day"] for row in body["rows"]]
    assert days == sorted(set(days), reverse=True)
    assert sum(row["requests"] for row in body["rows"]) == body["total"]["requests"] == 58


@pytest.mark.parametrize("rolled", [False, True])
def test_savings_use_the_baselines_price_of_the_time_and_of_the_prompts_size(key: dict[str, str], rolled: bool) -> None:
    acme = factories.provider()
    cheap, dear = factories.model("cheap", acme), factories.model("dear", acme, ("10", "20"))
    noon = Decimal(1_000_000)
    Price.objects.create(model=dear, effective_from=datetime(2026, 1, 1, tzinfo=UTC), min_prompt_tokens=200_001, input=20, output=40)
    Price.objects.create(model=dear, effective_from=DAY, input=5, output=10)
    owner = factories.client_key()
    before, after = DAY - timedelta(minutes=10), DAY + timedelta(minutes=10)
    for at, tokens in ((before, 1000), (before, 300_000), (after, 1000), (after, 300_000)):
        factories.request(at, owner, cheap, input_tokens=tokens, output_tokens=100, cost_nusd=1)
    if rolled:
        rollups.roll_up(DAY + timedelta(days=1))
    body = get("savings", key, baseline="dear", by="model", **RANGE).json()
    expected = (1000 * 10 + 100 * 20 + 300_000 * 20 + 100 * 40 + 2 * 100 * 10 + 301_000 * 5) / noon
    assert Decimal(body["total"]["baseline"]["amount"]) == expected
    assert Decimal(body["total"]["saved"]["amount"]) == expected - Decimal("4e-9")
    assert [(row["model"], row["requests"]) for row in body["rows"]] == [("cheap", 4)]
    assert get("savings", key, **RANGE).json()["baseline"] == "dear"


def test_a_price_per_request_counts_every_request(key: dict[str, str]) -> None:
    dear = factories.model("dear", factories.provider(), None)
    Price.objects.create(model=dear, effective_from=datetime(2026, 1, 1, tzinfo=UTC), input=0, output=0, request=Decimal("0.01"))
    owner = factories.client_key()
    for tokens in (10, 10, 400_000):
        factories.request(DAY, owner, dear, input_tokens=tokens)
    factories.request(DAY, owner, None, state="rejected", cost_nusd=0)
    assert get("savings", key, **RANGE).json()["total"]["baseline"]["amount"] == "0.03"


def test_a_forecast_follows_the_teams_timezone_and_its_budgets(key: dict[str, str]) -> None:
    team = factories.team()
    team.timezone = "Pacific/Kiritimati"  # 14 hours ahead
    team.save()
    owner = factories.client_key()
    now = datetime(2026, 11, 30, 11, 0, tzinfo=UTC)  # the first of December there
    for days in range(1, 6):
        factories.request(now - timedelta(days=days), owner, None, cost_nusd=10**9)
    factories.request(datetime(2026, 11, 30, 10, 30, tzinfo=UTC), owner, None, cost_nusd=5 * 10**8)
    Budget.objects.create(name="ours", team=team, limit_nusd=10**10, posted_nusd=10**9, period_id="2026-12", timezone=team.timezone)
    Budget.objects.create(name="theirs", team=factories.team("Other"), limit_nusd=1)
    Budget.objects.create(name="everybody", limit_nusd=1)
    with time_machine.travel(now, tick=False):
        body = get("forecast", key).json()
    assert (body["timezone"], body["since"], body["spent"]["amount"]) == ("Pacific/Kiritimati", "2026-11-30T10:00:00Z", "0.50")
    left = (datetime(2026, 12, 31, 10, tzinfo=UTC) - now) / timedelta(days=1)
    assert float(body["expected"]["amount"]["amount"]) == pytest.approx(0.5 + left)
    assert [(b["name"], b["period"], b["spent"]["amount"], b["used_up"]) for b in body["budgets"]] == [("ours", "2026-12", "1.00", False)]
    assert body["budgets"][0]["runs_out"].startswith("2026-12-09")


def test_a_forecast_of_too_little_is_null(key: dict[str, str]) -> None:
    for period in ("month", "week", "day"):
        assert get("forecast", key, period=period).json()["expected"] is None
