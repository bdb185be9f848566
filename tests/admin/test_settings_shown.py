"""Settings of a strategy as people read them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from llm_gateway.admin import _settings
from llm_gateway.models import Heartbeat, Strategy
from llm_gateway.strategies import strategies
from tests.analytics import factories

RULES = {"rules": [{"name": "Docs", "task_types": ["docs"], "prefer": ["gemini/*"]}, {"languages": ["*"], "prefer": ["a/*", "b/*"]}]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"), (None, "none"), (1.0, "1"), ([], "none"), ({"a": 50.0, "b": 50.0}, "a 50, b 50"), (["x", "y"], "x, y"),
        (RULES["rules"], "2, first “Docs”"), ([{"prefer": []}], "1: “prefer”"), ("long " * 40, "long " * 11 + "long…"),
    ],
)  # fmt: skip
def test_a_value_in_a_few_words(value: Any, text: str) -> None:
    assert _settings.brief(value) == text


def test_a_rule_is_a_line_of_its_own() -> None:
    assert _settings.lines(RULES | {"sticky": True}) == [
        ("rules 1: Docs", [("task types", "docs"), ("prefer", "gemini/*")]),
        ("rules 2", [("languages", "*"), ("prefer", "a/*, b/*")]),
        ("sticky", [("", "yes")]),
    ]


@pytest.mark.parametrize("settings", [{}, None, [], "text", {"a": {"b": {"c": [1]}}, "d": [[1]], "e": 1, "f": 2, "g": 3}])
def test_any_settings_are_shown(settings: Any) -> None:
    assert _settings.short(settings)
    assert _settings.lines(settings) is not None


@pytest.mark.django_db
def test_the_list_shows_how_many_rules_and_the_page_all_of_them(boss: Client) -> None:
    row = Strategy.objects.create(name="ctx", kind="context-aware", title="Ctx", settings=strategies.get("context-aware").validate({}))
    html = boss.get("/admin/llm_gateway/strategy/").content.decode()
    assert "5, first “Analysis, review and security”" in html
    assert "{&#x27;" not in html
    html = boss.get(reverse("admin:llm_gateway_strategy_change", args=[row.pk])).content.decode()
    assert 'value="Documentation"' in html
    assert "{&#x27;" not in html


@pytest.mark.django_db
def test_signs_of_life_are_of_what_lives(boss: Client) -> None:
    for name in ("tasks", "worker:1", "catalogue", "bootstrap", "simulate", "job:check keys"):
        Heartbeat.objects.create(name=name, at=factories.NOON)
    html = boss.get("/admin/llm_gateway/heartbeat/").content.decode()
    assert "worker:1" in html
    assert not [name for name in ("catalogue", "bootstrap", "simulate", "check keys") if f">{name}<" in html]
