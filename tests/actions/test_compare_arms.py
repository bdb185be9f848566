"""The arms of an A/B strategy beside each other, read from rows as their callers were dealt."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from cogo.demo.writing import write
from llm_gateway.actions.activate_strategy import activate_strategy
from llm_gateway.actions.compare_arms import compare_arms
from llm_gateway.actions.create_client_key import ensure_team
from llm_gateway.models import RequestLog, Strategy, StrategyActivation
from llm_gateway.strategies import DRAWS, RequestFacts, write_choice
from llm_gateway.strategies.ab_testing import assigned
from tests.analytics import factories

pytestmark = pytest.mark.django_db
ARMS = {"anthropic": 50.0, "openai": 50.0}


def log(row: Strategy, count: int, gain_ms: int) -> None:
    """``count`` requests without a user, each drawn alone; openai answers ``gain_ms`` sooner."""
    rng = random.Random(3)
    team = ensure_team("Arms")
    now = timezone.now()
    rows = []
    for number in range(count):
        draw = rng.randrange(DRAWS) / DRAWS
        facts = RequestFacts(now=now, prompt_tokens=100, max_tokens=100)
        choice = write_choice(
            facts, draw=draw, policy=row.version, catalogue=1, statistics="", candidates="", first=0, estimates=[], p=(), canary=False
        )
        took = 2000 + rng.randrange(800) - (gain_ms if assigned(ARMS, "", "", draw) == "openai" else 0)
        rows.append(
            {
                "id": UUID(int=number + 1),
                "created_at": now - timedelta(minutes=1),
                "finished_at": now,
                "state": "ok",
                "kind": "chat",
                "dialect": "openai_chat",
                "team_id": team.pk,
                "choice": choice,
                "policy": row.version,
                "latency_ms": took,
                "cost_nusd": rng.randrange(4_000_000, 6_000_000),
            }
        )
    write(RequestLog, rows)


@pytest.fixture
def row() -> Strategy:
    factories.catalogue()
    activate_strategy("ab-testing", settings={"arms": ARMS, "sticky": False})
    StrategyActivation.objects.update(at=datetime(2026, 1, 1, tzinfo=UTC))
    return Strategy.objects.get(name="ab-testing")


def test_each_request_drawn_alone_is_a_unit_and_the_sentence_is_about_what_is_certain(row: Strategy) -> None:
    log(row, 400, gain_ms=500)
    told = compare_arms(row)
    assert told is not None
    assert sum(arm["units"] for arm in told.arms) == 400
    assert told.verdict == "better"
    assert told.sentence.startswith("openai is better than anthropic: latency -")


def test_where_nothing_differs_nothing_is_certain(row: Strategy) -> None:
    log(row, 400, gain_ms=0)
    told = compare_arms(row)
    assert told is not None
    assert told.verdict == "collecting"
    assert told.sentence.startswith("Nothing is certain yet: cost")


def test_a_strategy_without_arms_compares_nothing(row: Strategy) -> None:
    assert compare_arms(Strategy.objects.get(name="enterprise")) is None
    activate_strategy("ab-testing", settings={"arms": {}})
    assert compare_arms(Strategy.objects.get(name="ab-testing")) is None
