"""Quality as a signal: no weight, no effect; too few scores, no effect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from llm_gateway.models import AnswerScore
from llm_gateway.stores.scores import qualities
from llm_gateway.strategies import Candidate, RequestFacts, Stats, strategies
from tests.analytics import factories
from tests.api.native.fakes import target

FACTS = RequestFacts(now=datetime(2026, 11, 30, tzinfo=UTC), prompt_tokens=10, max_tokens=None)
STRATEGY = strategies.get("performance-based")


def first(tidy: tuple[float | None, int], messy: tuple[float | None, int], **settings: float) -> int:
    """Which of two comes first: the second is a little faster."""
    candidates = [
        Candidate(target=target(), stats=Stats(requests=100, successes=100, latency_ms=latency, quality=quality, scored=scored))
        for latency, (quality, scored) in ((110.0, tidy), (100.0, messy))
    ]
    return STRATEGY.order(candidates, FACTS, STRATEGY.validate({"exploration": 0.0, **settings}), 0.5).order[0]


def test_quality_decides_where_it_has_a_weight_and_thirty_scores_of_every_candidate() -> None:
    assert first((0.95, 500), (0.4, 500)) == 1, "without a weight it decides nothing"
    assert first((0.95, 500), (0.4, 500), quality_weight=0.5) == 0
    assert first((0.95, 30), (0.4, 30), quality_weight=0.5) == 0
    assert first((0.95, 500), (0.4, 29), quality_weight=0.5) == 1
    assert first((0.95, 29), (0.4, 500), quality_weight=0.5) == 1
    assert first((0.95, 500), (None, 0), quality_weight=0.5) == 1


def test_quality_alone_is_no_strategy() -> None:
    with pytest.raises(ValueError, match="success_weight"):
        STRATEGY.validate({"success_weight": 0, "latency_weight": 0, "cost_weight": 0, "quality_weight": 1})


@pytest.mark.django_db
def test_a_model_s_quality_is_the_mean_of_the_code_scored_in_seven_days() -> None:
    model: Any = factories.model("one", factories.provider("acme"), ("1", "2"))
    team = factories.client_key("bot").team
    now = datetime(2026, 11, 30, tzinfo=UTC)
    counted = ((100, True, 1, 1), (50, True, 6, 1))
    for score, coded, days, formula in (*counted, (0, True, 8, 1), (0, False, 1, 1), (None, True, 1, 1), (0, True, 1, 0)):
        AnswerScore.objects.create(
            request_id=uuid4(), formula=formula, created_at=now - timedelta(days=days), team=team, model=model, score=score, coded=coded
        )
    assert qualities(now) == {model.pk: (0.75, 2)}
