from __future__ import annotations

import threading

import pytest
from django.db import connections

from llm_gateway.actions import ActionError
from llm_gateway.actions.activate_strategy import activate_strategy
from llm_gateway.actions.rollback_strategy import rollback_strategy
from llm_gateway.core.errors import Conflict
from llm_gateway.models import CatalogueVersion, Strategy, StrategyActivation

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rows(db: None) -> None:
    for name in ("enterprise", "ab-testing", "performance-based"):
        Strategy.objects.create(name=name, kind=name, title=name)


def active() -> list[str]:
    return list(Strategy.objects.filter(active=True).values_list("name", flat=True))


def test_exactly_one_is_in_force_and_its_history_is_kept(admin_user: object) -> None:
    activate_strategy("enterprise")
    version = CatalogueVersion.current()
    entry = activate_strategy("ab-testing", user=admin_user, via="API key ci")
    assert active() == ["ab-testing"]
    assert (entry.previous, entry.by, entry.via) == ("enterprise", admin_user, "API key ci")
    assert entry.settings["sticky"] is True
    assert CatalogueVersion.current() > version


def test_activating_what_is_in_force_changes_nothing() -> None:
    entry = activate_strategy("enterprise")
    assert activate_strategy("enterprise").pk == entry.pk
    assert StrategyActivation.objects.count() == 1


def test_new_settings_are_validated_stored_and_counted() -> None:
    activate_strategy("performance-based")
    revision = Strategy.objects.get(name="performance-based").revision
    activate_strategy("performance-based", settings={"exploration": 0.2})
    row = Strategy.objects.get(name="performance-based")
    assert (row.settings["exploration"], row.revision) == (0.2, revision + 1)


@pytest.mark.parametrize(
    ("name", "settings", "word"),
    [
        ("nonesuch", None, "no strategy named"),
        ("performance-based", {"exploration": 7}, "exploration"),
        ("performance-based", {"typo": 1}, "typo"),
        ("ab-testing", {"arms": {"nobody": 1, "noone": 1}}, "nobody"),
        ("enterprise", [], "JSON object"),
    ],
)
def test_a_wrong_wish_leaves_everything_as_it_was(name: str, settings: object, word: str) -> None:
    activate_strategy("enterprise")
    with pytest.raises(ActionError, match=word):
        activate_strategy(name, settings=settings)  # type: ignore[arg-type]
    assert active() == ["enterprise"]
    assert StrategyActivation.objects.count() == 1
    assert Strategy.objects.get(name="performance-based").settings == {}


def test_a_stale_form_is_refused() -> None:
    activate_strategy("performance-based", settings={"exploration": 0.2})
    with pytest.raises(Conflict):
        activate_strategy("performance-based", settings={"exploration": 0.3}, revision=1)


def test_a_row_of_an_unknown_kind_is_refused() -> None:
    Strategy.objects.create(name="old", kind="gone", title="Old")
    with pytest.raises(ActionError, match="no kind"):
        activate_strategy("old")


def test_rolling_back_returns_to_what_was_in_force_with_its_settings() -> None:
    activate_strategy("performance-based", settings={"exploration": 0.2})
    activate_strategy("performance-based", settings={"exploration": 0.3})
    activate_strategy("enterprise")
    assert rollback_strategy().strategy.name == "performance-based"
    assert Strategy.objects.get(name="performance-based").settings["exploration"] == 0.3
    assert active() == ["performance-based"]


def test_rolling_back_to_a_chosen_entry() -> None:
    first = activate_strategy("performance-based", settings={"exploration": 0.2})
    activate_strategy("performance-based", settings={"exploration": 0.3})
    entry = rollback_strategy(first, via="admin")
    assert entry.settings["exploration"] == 0.2
    assert "rollback" in entry.via


def test_there_is_nothing_to_go_back_to_at_first() -> None:
    activate_strategy("enterprise")
    with pytest.raises(ActionError, match="No earlier"):
        rollback_strategy()


@pytest.mark.django_db(transaction=True)
def test_switching_from_many_sides_at_once_leaves_one_in_force() -> None:
    names = ["enterprise", "ab-testing", "performance-based"] * 2
    start = threading.Barrier(len(names))

    def switch(name: str) -> None:
        start.wait(5)
        activate_strategy(name)
        connections.close_all()

    threads = [threading.Thread(target=switch, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    (name,) = active()
    assert StrategyActivation.objects.order_by("-pk").first().strategy.name == name  # type: ignore[union-attr]
