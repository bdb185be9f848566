"""The page that explains a request."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from llm_gateway.actions.create_client_key import create_client_key
from llm_gateway.models import Strategy, Team
from tests.analytics import factories

from .conftest import signed_in

pytestmark = pytest.mark.django_db


def ask(boss: Client, **query: str) -> str:
    answer = boss.get(reverse("admin:llm_gateway_strategy_explain"), {"prompt_tokens": "2000", "max_tokens": "1000", **query})
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_asks_first_and_is_in_the_sidebar(boss: Client) -> None:
    html = boss.get(reverse("admin:llm_gateway_strategy_explain")).content.decode()
    assert "What would this request do now?" in html
    assert "Why</th>" not in html
    assert reverse("admin:llm_gateway_strategy_explain") in boss.get("/admin/").content.decode()


def test_one_entry_of_the_sidebar_is_marked(boss: Client) -> None:
    for address, marked in (
        (reverse("admin:llm_gateway_strategy_explain"), "Explain a request"),
        (reverse("admin:llm_gateway_strategy_changelist"), "Strategies"),
        (reverse("admin:llm_gateway_strategy_add"), "Strategies"),
    ):
        groups = boss.get(address).context["sidebar_navigation"]
        assert [item["title"] for group in groups for item in group["items"] if item.get("active")] == [marked]


def test_candidates_stand_in_order_with_costs_and_reasons(boss: Client) -> None:
    factories.catalogue()
    html = ask(boss, model="auto")
    places = [html.index(f"<td>{name}</td>") for name in ("kimi-k3", "claude-sonnet-5-5", "gpt-6.1-sol")]
    assert places == sorted(places)
    assert "Ordered by provider priority" in html
    assert "key is invalid" in html[html.index("Left out") :]


def test_a_name_a_strategy_and_a_mistake_are_told_apart(boss: Client) -> None:
    factories.catalogue()
    assert "and nothing else" in ask(boss, model="kimi-k3")
    assert "Strategy ab-testing" in ask(boss, strategy="ab-testing")
    assert "404 model_not_found" in ask(boss, model="nothing-like-it")
    assert "Enter a whole number" in ask(boss, prompt_tokens="many")


def test_a_keys_own_strategy_and_budget_count(boss: Client) -> None:
    factories.catalogue()
    team = Team.objects.create(name="Small", slug="small")
    key, _ = create_client_key("small", team, ("generate",), budget_usd=Decimal("0.000001"), period="day")
    key.strategy = Strategy.objects.get(name="ab-testing")
    key.save()
    html = ask(boss, client_key=key.public_id)
    assert "Strategy ab-testing" in html
    assert "402 request_exceeds_budget" in html


def test_who_may_not_see_strategies_may_not_ask() -> None:
    assert signed_in("nobody").get(reverse("admin:llm_gateway_strategy_explain")).status_code == 403
