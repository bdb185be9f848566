"""An experiment that is planned in the console keeps the rules of one that is planned through the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from llm_gateway.models import Experiment, Strategy

pytestmark = pytest.mark.django_db
ADD = "/admin/llm_gateway/experiment/add/"


def plan(**more: Any) -> dict[str, Any]:
    strategy, _ = Strategy.objects.get_or_create(name="ab-testing", defaults={"kind": "ab-testing", "title": "A/B testing"})
    return {"name": "one", "strategy": strategy.pk, "unit": "user", "metric": "success", **more}


def test_an_end_and_a_least_effect_may_be_left_open(boss: Client) -> None:
    assert boss.post(ADD, plan()).status_code == 302
    row = Experiment.objects.get()
    assert (row.minimal_effect, row.ends_at, row.state) == (None, None, "draft")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"minimal_effect": "-5"}, "minimal_effect has to be above 0"),
        ({"minimal_effect": "0"}, "minimal_effect has to be above 0"),
        ({"ends_at_0": f"{timezone.now() - timedelta(days=1):%Y-%m-%d}", "ends_at_1": "12:00"}, "ends_at is in the past"),
        ({"guardrails": "cost, happiness"}, "There is no metric happiness"),
    ],
)
def test_what_the_api_refuses_the_form_refuses(boss: Client, more: dict[str, str], words: str) -> None:
    answer = boss.post(ADD, plan(**more))
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Experiment.objects.exists()
