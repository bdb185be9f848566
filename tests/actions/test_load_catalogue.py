from __future__ import annotations

from datetime import date

import pytest

from llm_gateway.actions._catalogue_files import aliases, models, prices
from llm_gateway.actions._memory import recall, remember
from llm_gateway.actions.load_catalogue import load_catalogue
from llm_gateway.models import Alias, CatalogueVersion, LanguageModel, Provider
from llm_gateway.providers import services

pytestmark = pytest.mark.django_db

NAMED = {
    "qwen3-coder-480b": ("fireworks", "retired", date(2026, 2, 12), "qwen3p8-max"),
    "claude-3-5-sonnet-20241022": ("anthropic", "retired", date(2025, 10, 28), "claude-sonnet-5-5"),
    "gpt-4o": ("openai", "deprecated", date(2027, 1, 14), "gpt-6-luna"),
    "gemini-1.5-pro": ("gemini", "retired", date(2025, 9, 24), "gemini-3.8-flash"),
}


def test_a_fresh_load_makes_every_service_with_a_base_url() -> None:
    load_catalogue()
    for name, service in services.items():
        assert Provider.objects.filter(slug=name).exists() is (service.facts.base_url is not None and service.facts.wire is not None)


@pytest.mark.parametrize("name", NAMED)
def test_the_original_four_stand_under_their_names_with_lifecycle_and_successor(name: str) -> None:
    load_catalogue()
    provider, lifecycle, day, successor = NAMED[name]
    model = LanguageModel.objects.select_related("provider", "successor").get(name=name)
    assert (model.provider.slug, model.lifecycle, model.retires_on) == (provider, lifecycle, day)
    assert model.successor is not None
    assert model.successor.name == successor
    assert not model.auto


def test_each_provider_has_one_living_model_that_strategies_may_choose() -> None:
    load_catalogue()
    for provider in Provider.objects.all():
        chosen = list(provider.models.filter(auto=True))
        assert len(chosen) == 1
        assert chosen[0].lifecycle == "active"


def test_a_second_load_changes_nothing() -> None:
    first = load_catalogue()
    version = CatalogueVersion.current()
    second = load_catalogue()
    assert first.models_created > 40
    assert (second.providers_created, second.models_created, second.models_updated) == (0, 0, 0)
    assert (second.aliases_created, second.aliases_updated) == (0, 0)
    assert CatalogueVersion.current() == version


def test_an_operators_edit_survives_and_only_its_gaps_are_filled() -> None:
    load_catalogue()
    LanguageModel.objects.filter(name="gpt-4o").update(edited=True, title="Our 4o", retires_on=None, context_window=64_000)
    result = load_catalogue()
    model = LanguageModel.objects.get(name="gpt-4o")
    assert (model.title, model.context_window, model.retires_on) == ("Our 4o", 64_000, date(2027, 1, 14))
    assert result.models_updated == 1
    assert "gpt-4o" in load_catalogue().kept


def test_an_untouched_row_follows_the_catalogue() -> None:
    load_catalogue()
    LanguageModel.objects.filter(name="gpt-4o").update(lifecycle="active", retires_on=None, successor=None)
    assert load_catalogue().models_updated == 1
    model = LanguageModel.objects.get(name="gpt-4o")
    assert model.lifecycle == "deprecated"
    assert model.successor is not None


def test_what_the_catalogue_does_not_know_is_left() -> None:
    load_catalogue()
    LanguageModel.objects.filter(name="qwen3p8-max").update(context_window=262_144)
    assert load_catalogue().models_updated == 0
    assert LanguageModel.objects.get(name="qwen3p8-max").context_window == 262_144


def test_routing_choices_are_the_operators_even_on_untouched_rows() -> None:
    load_catalogue()
    LanguageModel.objects.filter(name="claude-opus-5-5").update(auto=True, position=1, enabled=False)
    load_catalogue()
    model = LanguageModel.objects.get(name="claude-opus-5-5")
    assert (model.auto, model.position, model.enabled) == (True, 1, False)


def test_an_edited_provider_is_left_alone() -> None:
    load_catalogue()
    Provider.objects.filter(slug="openai").update(base_url="https://eu.example.com/v1", priority=1, enabled=False)
    load_catalogue()
    provider = Provider.objects.get(slug="openai")
    assert (provider.base_url, provider.priority, provider.enabled) == ("https://eu.example.com/v1", 1, False)


def test_what_the_operator_deleted_stays_deleted_until_asked_back() -> None:
    load_catalogue()
    LanguageModel.objects.filter(name="claude-fable-5-1").delete()
    Alias.objects.filter(name="gpt").delete()
    Provider.objects.filter(slug="gemini").delete()
    result = load_catalogue()
    assert {"claude-fable-5-1", "gpt", "gemini"} <= set(result.deleted)
    assert not LanguageModel.objects.filter(name="claude-fable-5-1").exists()
    load_catalogue(restore=True)
    assert LanguageModel.objects.filter(name="claude-fable-5-1").exists()
    assert Provider.objects.get(slug="gemini").models.count() > 5


def test_a_name_the_operator_took_for_another_model_is_not_touched() -> None:
    own = Provider.objects.create(slug="own", title="Own", service="custom", wire="openai_chat", base_url="https://own.example.com/v1")
    LanguageModel.objects.create(provider=own, name="gpt-4o", upstream_id="my-4o")
    assert "gpt-4o" in load_catalogue().kept
    assert LanguageModel.objects.get(name="gpt-4o").upstream_id == "my-4o"


def test_a_dry_run_counts_and_writes_nothing() -> None:
    result = load_catalogue(dry_run=True)
    assert result.models_created > 40
    assert not Provider.objects.exists()
    assert load_catalogue().models_created == result.models_created


def test_aliases_point_at_todays_model_of_a_family_and_retired_names_at_their_successor_too() -> None:
    load_catalogue()
    targets = {alias.name: [t.model.name for t in alias.targets.all()] for alias in Alias.objects.prefetch_related("targets__model")}
    assert targets["claude"] == ["claude-sonnet-5-5"]
    assert targets["claude-3.5-sonnet"] == ["claude-3-5-sonnet-20241022", "claude-sonnet-5-5"]
    assert targets["fireworks/qwen3-coder-480b-a35b-instruct"] == ["qwen3-coder-480b", "qwen3p8-max"]
    assert targets["gemini-1.5-pro"] == ["gemini-1.5-pro", "gemini-3.8-flash"]
    assert targets["accounts/fireworks/models/qwen3-coder-480b-a35b-instruct"] == ["qwen3-coder-480b"]
    assert targets["openai"] == ["gpt-6.1-sol"]
    assert targets["gemini"] == ["gemini-3.8-flash"]


@pytest.mark.parametrize("name", ["claude-3.5-sonnet", "gemini-1.5-pro"])
def test_an_edited_alias_keeps_its_fallback_list(name: str) -> None:
    """Here without the successor, which the operator took off."""
    load_catalogue()
    alias = Alias.objects.get(name=name)
    alias.targets.filter(position=1).delete()
    Alias.objects.filter(pk=alias.pk).update(edited=True)
    assert name in load_catalogue().kept
    assert alias.targets.count() == 1


def test_an_installation_from_before_gets_the_successors() -> None:
    load_catalogue()
    for name in ("claude-3.5-sonnet", "qwen3-coder"):
        Alias.objects.get(name=name).targets.filter(position=1).delete()
    Alias.objects.filter(name="gemini-1.5-pro").delete()
    remembered = recall("catalogue")
    remembered["aliases"].remove("gemini-1.5-pro")
    remember("catalogue", remembered)
    result = load_catalogue()
    assert (result.aliases_created, result.aliases_updated) == (1, 2)
    assert [target.model.name for target in Alias.objects.get(name="qwen3-coder").targets.all()] == ["qwen3-coder-480b", "qwen3p8-max"]


def test_the_files_name_only_models_that_exist() -> None:
    rows = {row.name: row for group in models().values() for row in group}
    assert len(rows) == sum(len(group) for group in models().values())
    assert {row.successor for row in rows.values() if row.successor} <= set(rows)
    assert {target for targets in aliases().values() for target in targets} <= set(rows)
    for name, targets in aliases().items():
        first, *others = (rows[target] for target in targets)
        assert name not in rows or name == first.name, name
        assert [other.name for other in others] == ([first.successor] if others else []), name
    assert {row.model for row in prices()} <= set(rows)
    for row in rows.values():
        assert (row.lifecycle.value == "active") is (row.retires_on is None), row.name
        assert row.lifecycle.value == "active" or row.successor, row.name
        if row.successor:
            assert rows[row.successor].lifecycle.value == "active", row.name


def test_a_repeated_load_costs_few_queries(django_assert_max_num_queries: object) -> None:
    load_catalogue()
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        load_catalogue()
