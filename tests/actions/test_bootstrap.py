from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django_q.models import Schedule

from llm_gateway.actions import ActionError
from llm_gateway.actions import bootstrap as module
from llm_gateway.actions.bootstrap import Report
from llm_gateway.actions.create_client_key import generate_client_key
from llm_gateway.actions.import_prices import PriceImport
from llm_gateway.actions.store_provider_key import store_provider_key
from llm_gateway.core.keys import public_id_of
from llm_gateway.models import CatalogueVersion, ClientKey, LanguageModel, Price, Provider, ProviderKey, Strategy, StrategyActivation, Team
from llm_gateway.stores import vault
from llm_gateway.strategies import strategies

pytestmark = pytest.mark.django_db
OPTIONS = {"superuser_name": "operator", "superuser_password": "", "superuser_email": "", "bootstrap_client_key": ""}
SECRET = "canary-0123456789-abcd"


def bootstrap(environment: dict[str, str] | None = None, **options: Any) -> Report:
    return module.bootstrap(environment or {}, {**OPTIONS, **options})


def secret_of(key: ProviderKey) -> str:
    return vault.open_sealed(key.ciphertext, place=vault.place_of(key)).reveal()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prices have tests of their own."""
    monkeypatch.setattr(module, "import_prices", lambda approve: PriceImport())


def test_an_empty_database_becomes_one_that_serves() -> None:
    report = bootstrap()
    assert report.password is not None
    assert len(report.password) >= 16
    assert authenticate(username="operator", password=report.password) is not None
    assert report.client_key is not None
    key = ClientKey.objects.get()
    assert key.public_id == public_id_of(report.client_key)
    assert set(key.scopes) == {"generate", "analyze", "read", "manage"}
    assert key.team == Team.objects.get(slug="default")
    assert set(Strategy.objects.values_list("name", flat=True)) == set(strategies)
    assert list(Strategy.objects.filter(active=True).values_list("name", flat=True)) == ["enterprise"]
    assert Schedule.objects.filter(name__startswith="cogo:").exists()
    assert report.configured == ()
    assert not ProviderKey.objects.exists()


def test_a_second_start_changes_nothing_and_tells_no_secret() -> None:
    bootstrap()
    version = CatalogueVersion.current()
    report = bootstrap()
    assert (report.password, report.client_key, report.notes) == (None, None, ())
    assert CatalogueVersion.current() == version
    assert StrategyActivation.objects.count() == 1


def test_a_given_password_is_used_and_not_told() -> None:
    report = bootstrap(superuser_name="ada", superuser_password="correct horse battery")
    assert (report.username, report.password) == ("ada", None)
    assert authenticate(username="ada", password="correct horse battery") is not None


@pytest.mark.parametrize("password", ["admin", "password123", "1234567890123", "operator-1"])
def test_a_weak_first_password_is_refused_where_others_reach_the_console_and_told_elsewhere(password: str) -> None:
    with pytest.raises(ActionError, match="DJANGO_SUPERUSER_PASSWORD is too easy to guess"):
        bootstrap(superuser_name="operator1", superuser_password=password, exposed=True)
    report = bootstrap(superuser_name="operator1", superuser_password=password, exposed=False)
    assert any("too easy to guess" in note and password not in note for note in report.notes)
    assert bootstrap(superuser_name="operator1", superuser_password=password, exposed=True).notes == ()


def test_a_password_is_never_changed_by_a_later_start() -> None:
    bootstrap(superuser_password="correct horse battery")
    bootstrap(superuser_password="another horse entirely")
    assert authenticate(username="operator", password="correct horse battery") is not None


def test_an_ordinary_account_of_that_name_is_not_made_a_superuser() -> None:
    get_user_model().objects.create_user("operator", password="x")
    report = bootstrap()
    assert "createsuperuser" in report.notes[0]
    assert not get_user_model().objects.filter(is_superuser=True).exists()


def test_a_given_client_key_works_and_is_not_told() -> None:
    plain = generate_client_key()
    assert bootstrap(bootstrap_client_key=plain).client_key is None
    assert bytes(ClientKey.objects.get().digest) == vault.digest(plain)
    bootstrap(bootstrap_client_key=plain)
    assert ClientKey.objects.count() == 1
    bootstrap(bootstrap_client_key=generate_client_key())
    assert ClientKey.objects.count() == 2


def test_a_malformed_client_key_stops_the_start_and_leaves_nothing_behind() -> None:
    with pytest.raises(ActionError, match=r"COGO_BOOTSTRAP_CLIENT_KEY.*--generate-only"):
        bootstrap(bootstrap_client_key="hunter2")
    assert not Provider.objects.exists()
    assert not get_user_model().objects.exists()


def test_a_deleted_or_revoked_first_key_is_not_made_again() -> None:
    bootstrap()
    ClientKey.objects.all().delete()
    assert bootstrap().client_key is None
    assert not ClientKey.objects.exists()


def test_provider_keys_come_from_the_environment_and_follow_it() -> None:
    report = bootstrap({"ANTHROPIC_API_KEY": SECRET})
    key = ProviderKey.objects.get()
    assert (report.configured, report.unchecked) == (("anthropic",), (key.pk,))
    assert (secret_of(key), key.from_environment) == (SECRET, "ANTHROPIC_API_KEY")
    bootstrap({"ANTHROPIC_API_KEY": "another-0123456789"})
    assert secret_of(ProviderKey.objects.get()) == "another-0123456789"


def test_a_key_the_operator_replaced_is_the_operators() -> None:
    bootstrap({"ANTHROPIC_API_KEY": SECRET})
    store_provider_key(Provider.objects.get(slug="anthropic"), "typed-in-0123456789", "environment")
    report = bootstrap({"ANTHROPIC_API_KEY": SECRET})
    assert secret_of(ProviderKey.objects.get()) == "typed-in-0123456789"
    assert "changed in the admin" in report.notes[0]


def test_a_malformed_provider_key_stops_the_start_without_being_told() -> None:
    with pytest.raises(ActionError) as caught:
        bootstrap({"OPENAI_API_KEY": f"{SECRET} oops"})
    assert str(caught.value).startswith("OPENAI_API_KEY: ")
    assert SECRET not in str(caught.value)


def auto(slug: str) -> list[str]:
    return list(LanguageModel.objects.filter(provider__slug=slug, auto=True).values_list("name", flat=True))


def test_a_model_name_makes_that_model_the_one_strategies_choose() -> None:
    bootstrap({"CLAUDE_MODEL": "claude-opus-5-5"})
    assert auto("anthropic") == ["claude-opus-5-5"]


@pytest.mark.parametrize(
    "value", ["accounts/fireworks/models/kimi-k3", "kimi-k3", "fireworks/kimi-k3", "fireworks/accounts/fireworks/models/kimi-k3"]
)
def test_a_model_is_found_under_any_of_its_names(value: str) -> None:
    bootstrap({"FIREWORKS_MODEL": value})
    assert auto("fireworks") == ["kimi-k3"]


def test_an_unknown_model_is_made_and_said_to_have_no_price() -> None:
    report = bootstrap({"OPENAI_MODEL": "gpt-99-nova"})
    assert auto("openai") == ["gpt-99-nova"]
    assert "no price" in report.notes[0]


def test_a_retired_model_is_not_put_in_force() -> None:
    report = bootstrap({"CLAUDE_MODEL": "claude-3-5-sonnet-20241022", "GEMINI_MODEL": "gemini-1.5"})
    assert auto("anthropic") == ["claude-sonnet-5-5"]
    assert auto("gemini") == ["gemini-3.8-flash"]
    assert "claude-sonnet-5-5 answers in its place" in report.notes[0]


def test_a_model_choice_is_applied_once_so_that_a_later_edit_stays() -> None:
    bootstrap({"OPENAI_MODEL": "gpt-6-luna"})
    LanguageModel.objects.filter(name="gpt-6-luna").update(auto=False)
    LanguageModel.objects.filter(name="gpt-6.1-sol").update(auto=True)
    bootstrap({"OPENAI_MODEL": "gpt-6-luna"})
    assert auto("openai") == ["gpt-6.1-sol"]
    bootstrap({"OPENAI_MODEL": "gpt-6-astra"})
    assert auto("openai") == ["gpt-6-astra"]


def test_a_deleted_strategy_stays_deleted_but_one_is_always_in_force() -> None:
    bootstrap()
    Strategy.objects.filter(name="round-robin").delete()
    Strategy.objects.filter(name="enterprise").delete()
    bootstrap()
    assert not Strategy.objects.filter(name="round-robin").exists()
    assert Strategy.objects.get(active=True).name == "enterprise"


def test_a_chosen_strategy_survives_a_start() -> None:
    from llm_gateway.actions.activate_strategy import activate_strategy

    bootstrap()
    activate_strategy("ab-testing")
    bootstrap()
    assert Strategy.objects.get(active=True).name == "ab-testing"


def test_prices_are_imported_once_and_their_changes_only_told(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []

    def imported(approve: bool) -> PriceImport:
        calls.append(approve)
        if approve:
            model = LanguageModel.objects.get(name="gpt-4o")
            Price.objects.create(model=model, effective_from=datetime(2026, 1, 1, tzinfo=UTC), input=1, output=1)
        return PriceImport(changed=0 if approve else 3)

    monkeypatch.setattr(module, "import_prices", imported)
    bootstrap()
    assert bootstrap().notes == ()
    assert calls == [True]
    monkeypatch.setattr(module, "version", lambda _: "9.9")
    assert "3 published prices differ" in bootstrap().notes[0]
    assert calls == [True, False]
