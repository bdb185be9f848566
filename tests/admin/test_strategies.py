"""Switching the strategy: two requests, and a history that can be gone back to."""

from __future__ import annotations

from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from llm_gateway.models import CatalogueVersion, Provider, Strategy, StrategyActivation
from llm_gateway.strategies import strategies
from tests.analytics import factories

from .forms import fields_of, post

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


def weights_of(**weights: object) -> dict[str, list[str]]:
    return {"s-arms-name": list(weights), "s-arms-weight": [str(weight) for weight in weights.values()]}


def test_wrong_settings_are_refused_at_their_field_with_the_strategys_own_sentence(boss: Client) -> None:
    factories.catalogue()
    for changes, field, said in (
        (weights_of(anthropic=1, nobody=1), "s-arms", "There is no provider or model named nobody"),
        (weights_of(anthropic=1), "s-arms", "at least 2 of the weights have to be above 0"),
        (weights_of(anthropic="much", openai=1), "s-arms", "The weight of anthropic has to be a number."),
        (weights_of(anthropic="nan", openai=1), "s-arms", "The weight of anthropic has to be a number."),
        ({"s-arms-name": ["openai", "openai"], "s-arms-weight": ["1", "2"]}, "s-arms", "openai stands twice"),
        ({"s-arms-name": [""], "s-arms-weight": ["3"]}, "s-arms", "Name the provider or model"),
        ({"s-sticky": '"nobody"'}, "s-sticky", "Select a valid choice"),
        ({"s-hedge_after_ms": "3"}, "s-hedge_after_ms", "greater than or equal to 50"),
    ):
        answer = post(boss, url("change", "ab-testing"), **changes)
        errors = answer.context["adminform"].form.errors
        assert {name: said in lines[0] for name, lines in errors.items()} == {field: True}, (changes, dict(errors))
        assert said in unescape(answer.content.decode())
    assert Strategy.objects.get(name="ab-testing").revision == 1


def test_what_was_typed_stands_in_the_form_again(boss: Client) -> None:
    factories.catalogue()
    html = post(boss, url("change", "ab-testing"), **weights_of(anthropic="much", openai="0.5")).content.decode()
    assert 'value="much"' in html
    assert 'value="0.5"' in html
    assert 'name="s-arms-name" value="anthropic"' in html


def test_rules_are_lines_of_a_form_whose_order_counts(boss: Client) -> None:
    factories.catalogue()
    Strategy.objects.create(name="rules", kind="context-aware", title="Rules", settings={})
    page = boss.get(url("change", "rules")).content.decode()
    assert 'value="Analysis, review and security"' in page
    assert 'value="anthropic/*sonnet*, anthropic/*, *claude*"' in page
    columns = ("name", "task_types", "languages", "frameworks", "needs", "min_prompt_tokens", "max_prompt_tokens", "max_output_tokens")
    empty = {f"s-rules-{column}": ["", ""] for column in columns}
    changes = empty | {
        "s-rules-languages": ["rust, go", ""],
        "s-rules-prefer": ["openai/*", "gemini/*"],
        "s-rules-min_prompt_tokens": ["900", ""],
    }
    post(boss, url("change", "rules"), **changes)
    row = Strategy.objects.get(name="rules")
    first, second = row.settings["rules"]
    assert first == {"name": "", "languages": ["rust", "go"], "prefer": ["openai/*"], "min_prompt_tokens": 900}
    assert second == {"name": "", "prefer": ["gemini/*"]}
    for wrong, said in (
        ({"s-rules-prefer": ["", ""]}, "Rule 1 says nothing in prefer"),
        ({"s-rules-min_prompt_tokens": ["many", ""]}, "whole number"),
    ):
        errors = post(boss, url("change", "rules"), **changes | wrong).context["adminform"].form.errors
        assert list(errors) == ["s-rules"]
        assert said in errors["s-rules"][0]


def test_every_kind_has_a_form_whose_defaults_are_its_own(boss: Client) -> None:
    """What the form shows untouched is what the strategy does without settings."""
    factories.catalogue()
    for kind, strategy in strategies.items():
        made = fields_of(boss.get(f"/admin/llm_gateway/strategy/add/?kind={kind}").content.decode())
        answer = boss.post(f"/admin/llm_gateway/strategy/add/?kind={kind}", made | {"title": f"My {kind}", "name": f"my-{kind}"})
        assert answer.status_code == 302, (kind, answer.context["adminform"].form.errors)
        row = Strategy.objects.get(name=f"my-{kind}")
        assert (row.kind, row.settings) == (kind, strategy.validate({}))


def test_a_learned_strategy_has_the_settings_of_its_base(boss: Client) -> None:
    factories.catalogue()
    Strategy.objects.create(name="clever", kind="learned", title="Clever", settings={"base": "lowest-latency"})
    post(
        boss, url("change", "clever"), **{"s-base_settings-lowest-latency-tolerance": "0.3", "s-mode": '"guarded"', "s-cost_weight": "0.2"}
    )
    row = Strategy.objects.get(name="clever")
    assert row.settings["base_settings"]["tolerance"] == 0.3
    assert (row.settings["mode"], row.settings["cost_weight"]) == ("guarded", 0.2)
    post(boss, url("change", "clever"), **{"s-base": "weighted"})
    row.refresh_from_db()
    assert (row.settings["base"], row.settings["base_settings"]) == ("weighted", {"weights": {}, "sticky": False})
    answer = post(boss, url("change", "clever"), **{"s-base": "learned"})
    assert list(answer.context["adminform"].form.errors) == ["s-base"]


def test_the_preview_says_what_the_settings_would_do_and_stores_nothing(boss: Client) -> None:
    factories.catalogue()
    url_ = reverse("admin:llm_gateway_strategy_preview")
    version = CatalogueVersion.current()
    html = boss.post(url_, {"kind": "weighted", "s-weights-name": ["openai", "anthropic"], "s-weights-weight": ["0", "1"]}).content.decode()
    assert "would now go to" in html
    assert html.index("Anthropic") < html.index("OpenAI")
    assert "No decision of the log can be made again yet" in html
    faulty = boss.post(url_, {"kind": "weighted", "s-weights-name": ["nobody"], "s-weights-weight": ["1"]}).content.decode()
    assert "There is no provider or model named nobody" in unescape(faulty)
    assert boss.post(url_, {"kind": "no such kind"}).status_code == 403
    assert boss.get(url_).status_code == 405
    assert CatalogueVersion.current() == version


def test_new_settings_of_the_one_in_force_are_an_activation_and_can_be_rolled_back(boss: Client) -> None:
    factories.catalogue()
    boss.post(url("switch", "ab-testing"))
    before = Strategy.objects.get(name="ab-testing").settings
    post(boss, url("change", "ab-testing"), **weights_of(anthropic=80, openai=20))
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


def test_renaming_one_whose_defaults_are_not_spelled_out_is_no_activation(boss: Client) -> None:
    factories.catalogue()
    Strategy.objects.update(active=False)
    Strategy.objects.filter(name="performance-based").update(active=True, settings={})
    before = Strategy.objects.get(name="performance-based").activations.count()
    post(boss, url("change", "performance-based"), title="What works")
    row = Strategy.objects.get(name="performance-based")
    assert (row.title, row.active, row.activations.count()) == ("What works", True, before)


def test_the_one_in_force_cannot_be_deleted(boss: Client) -> None:
    factories.catalogue()
    assert boss.get(url("delete", "enterprise")).status_code == 403
    assert boss.get(url("delete", "ab-testing")).status_code == 200


def test_a_new_one_is_validated_and_stands_by(boss: Client) -> None:
    post(boss, "/admin/llm_gateway/strategy/add/?kind=lowest-cost", title="Cheap", name="cheap", **{"s-min_success_rate": "0.9"})
    row = Strategy.objects.get(name="cheap")
    assert (row.kind, row.active, row.settings) == ("lowest-cost", False, {"min_success_rate": 0.9})


def test_who_adds_one_chooses_what_it_is_to_do_first(boss: Client) -> None:
    for address in ("/admin/llm_gateway/strategy/add/", "/admin/llm_gateway/strategy/add/?kind=nonsense"):
        html = boss.get(address).content.decode()
        assert all(f"?kind={kind}" in html for kind in strategies)
    assert boss.post("/admin/llm_gateway/strategy/add/?kind=nonsense", {"kind": "nonsense", "name": "x", "title": "X"}).status_code == 200
    assert not Strategy.objects.filter(name="x").exists()


def test_the_history_has_the_button_that_rolls_back(boss: Client) -> None:
    factories.catalogue()
    boss.post(url("switch", "ab-testing"))
    html = boss.get("/admin/llm_gateway/strategyactivation/").content.decode()
    first = StrategyActivation.objects.order_by("pk").first()
    assert first is not None
    restore = reverse("admin:llm_gateway_strategy_restore", args=[first.pk])
    assert html.count("Roll back to this") == 1
    assert restore in html
    boss.post(restore)
    assert Strategy.objects.get(active=True).name == "enterprise"


def test_settings_that_no_field_knows_stay_within_reach(boss: Client) -> None:
    factories.catalogue()
    assert "s-other" not in boss.get(url("change", "enterprise")).content.decode()
    Strategy.objects.filter(name="enterprise").update(settings={"of_another_version": 1})
    answer = post(boss, url("change", "enterprise"))
    assert "has no setting of_another_version" in answer.context["adminform"].form.errors["s-other"][0]
    assert post(boss, url("change", "enterprise"), **{"s-other": ""}).status_code == 302
    Strategy.objects.create(name="gone", kind="its-file-is-gone", title="Gone", settings={"a": 1})
    answer = post(boss, url("change", "gone"), **{"s-other": '{"a": 2}'})
    assert "There is no kind of strategy named its-file-is-gone" in answer.context["adminform"].form.errors["s-other"][0]


@pytest.mark.parametrize("typed", ['{"a": ' + "9" * 5000 + "}", "[" * 100_000, '{"a": NaN}', '{"a": 1, "a": 2}', "{", "[]", "7", '"x"'])
def test_settings_that_are_no_json_are_said_to_be_none(boss: Client, typed: str) -> None:
    factories.catalogue()
    Strategy.objects.filter(name="enterprise").update(settings={"of_another_version": 1})
    answer = post(boss, url("change", "enterprise"), **{"s-other": typed})
    assert answer.status_code == 200
    assert any(said in answer.content.decode() for said in ("Enter a valid JSON object", "Settings are one JSON object"))
