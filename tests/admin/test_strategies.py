"""Switching the strategy: two requests, and a history that can be gone back to."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from llm_gateway.models import CatalogueVersion, Provider, Strategy, StrategyActivation
from tests.analytics import factories

from .forms import post

pytestmark = pytest.mark.django_db


def url(page: str, name: str) -> str:
    return reverse(f"admin:llm_gateway_strategy_{page}", args=[Strategy.objects.get(name=name).pk])


def test_two_requests_switch_and_every_worker_hears_of_it(boss: Client) -> None:
    factories.catalogue()
    first = boss.get(url("switch", "ab-testing")).content.decode()
    assert "Who would be tried" in first
    version = CatalogueVersion.current()
    answer = boss.post(url("switch", "ab-testing"))
    assert answer.status_code == 302
    assert Strategy.objects.get(active=True).name == "ab-testing"
    assert CatalogueVersion.current() > version
    last = StrategyActivation.objects.first()
    assert last is not None
    assert (last.strategy.name, last.previous, str(last.by), last.via) == ("ab-testing", "enterprise", "boss", "admin")
    assert "within 2 seconds" in boss.get(answer.url).content.decode()


def test_the_preview_lists_targets_in_order_and_why_others_are_out(boss: Client) -> None:
    factories.catalogue()
    html = boss.get(url("switch", "enterprise")).content.decode()
    places = [html.index(name) for name in ("kimi-k3", "claude-sonnet-5-5", "gpt-6.1-sol")]
    assert places == sorted(places)
    assert "key is invalid" in html[html.index("Not available now") :]


def test_the_page_says_when_nothing_could_answer(boss: Client) -> None:
    factories.catalogue()
    Provider.objects.update(enabled=False)
    assert "No target could be tried" in boss.get(url("switch", "enterprise")).content.decode()


def test_wrong_settings_are_refused_with_the_strategys_own_sentence(boss: Client) -> None:
    factories.catalogue()
    for settings, said in (
        ("{", "Enter a valid JSON"),
        ("[1]", "one JSON object"),
        ('{"armz": {}}', "has no setting armz"),
        ('{"arms": {"anthropic": 1, "nobody": 1}}', "There is no provider or model named nobody"),
    ):
        html = post(boss, url("change", "ab-testing"), settings=settings).content.decode()
        assert said in html, said


def test_new_settings_of_the_one_in_force_are_an_activation_and_can_be_rolled_back(boss: Client) -> None:
    factories.catalogue()
    boss.post(url("switch", "ab-testing"))
    before = Strategy.objects.get(name="ab-testing").settings
    post(boss, url("change", "ab-testing"), settings='{"arms": {"anthropic": 80, "openai": 20}}')
    row = Strategy.objects.get(name="ab-testing")
    assert row.settings["arms"] == {"anthropic": 80.0, "openai": 20.0}
    moments = list(row.activations.order_by("pk"))
    assert len(moments) == 2
    page = boss.get(url("change", "ab-testing")).content.decode()
    assert page.count("Roll back to this") == 1
    boss.post(reverse("admin:llm_gateway_strategy_restore", args=[moments[0].pk]))
    row.refresh_from_db()
    assert row.settings == before
    assert row.activations.count() == 3


def test_renaming_is_no_activation(boss: Client) -> None:
    factories.catalogue()
    post(boss, url("change", "enterprise"), title="Our order")
    row = Strategy.objects.get(name="enterprise")
    assert (row.title, row.active, row.activations.count()) == ("Our order", True, 1)


def test_the_one_in_force_cannot_be_deleted(boss: Client) -> None:
    factories.catalogue()
    assert boss.get(url("delete", "enterprise")).status_code == 403
    assert boss.get(url("delete", "ab-testing")).status_code == 200


def test_a_new_one_is_validated_and_stands_by(boss: Client) -> None:
    post(boss, "/admin/llm_gateway/strategy/add/", title="Cheap", name="cheap", kind="lowest-cost", settings="")
    row = Strategy.objects.get(name="cheap")
    assert (row.kind, row.active) == ("lowest-cost", False)


@pytest.mark.parametrize("typed", ['{"a": ' + "9" * 5000 + "}", "[" * 100_000, '{"a": NaN}', '{"a": 1, "a": 2}', "{", "[]", "7", '"x"'])
def test_settings_that_are_no_json_are_said_to_be_none(boss: Client, typed: str) -> None:
    factories.catalogue()
    answer = post(boss, url("change", "enterprise"), settings=typed)
    assert answer.status_code == 200
    assert any(said in answer.content.decode() for said in ("Enter a valid JSON object", "Settings are one JSON object"))
