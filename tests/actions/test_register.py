from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from llm_gateway.actions import ActionError
from llm_gateway.actions.add_provider import add_provider
from llm_gateway.actions.load_catalogue import load_catalogue
from llm_gateway.actions.register_local import register_local, retire_local
from llm_gateway.actions.register_simulated import leave_simulated, register_simulated
from llm_gateway.actions.store_provider_key import store_provider_key
from llm_gateway.models import Alias, CatalogueVersion, LanguageModel, Price, Provider, ProviderKey
from llm_gateway.stores import vault

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:8099/v1"


def public(host: str, port: int) -> list[str]:
    return ["93.184.216.34"]


def private(host: str, port: int) -> list[str]:
    return ["93.184.216.34", "10.0.0.8"]


def absent(host: str, port: int) -> list[str]:
    raise OSError


class TestAddingAProvider:
    def test_makes_provider_key_models_and_prices(self) -> None:
        provider, key = add_provider(
            "groq",
            "openai_chat",
            "https://api.groq.example/openai/v1/",
            key="canary-0123456789",
            models=["llama-4", "qwen-*"],
            price_in=Decimal("0.1"),
            price_out=Decimal("0.4"),
            resolver=public,
        )
        assert (provider.service, provider.base_url, key.state) == ("custom", "https://api.groq.example/openai/v1", "unchecked")
        models = {m.upstream_id: m for m in provider.models.all()}
        assert (models["llama-4"].auto, models["qwen-*"].auto) == (True, False)
        assert Price.objects.count() == 2
        assert Price.objects.filter(input=Decimal("0.1"), output=Decimal("0.4"), source="operator").count() == 2

    def test_again_updates_and_takes_nothing_away(self) -> None:
        add_provider("x", "openai_chat", URL, models=["a"], price_in=Decimal(1), price_out=Decimal(2), allow_private=True)
        version = CatalogueVersion.current()
        provider, _ = add_provider("x", "openai_chat", URL, models=["a"], price_in=Decimal(1), price_out=Decimal(2), allow_private=True)
        assert Price.objects.count() == 1
        add_provider(
            "x", "openai_chat", URL, models=["b"], price_in=Decimal(3), price_out=Decimal(4), allow_private=True, ignore_health=True
        )
        add_provider("x", "openai_chat", URL, models=["a"], price_in=Decimal(3), price_out=Decimal(4), allow_private=True)
        provider.refresh_from_db()
        assert set(provider.models.values_list("upstream_id", flat=True)) == {"a", "b"}
        assert [f"{p.input:f}" for p in Price.objects.filter(model__name="a").order_by("effective_from")] == ["1.000000", "3.000000"]
        assert not provider.ignore_health
        assert CatalogueVersion.current() > version

    def test_a_host_without_a_key_has_an_empty_one(self) -> None:
        _, key = add_provider("x", "openai_chat", URL, allow_private=True)
        assert key.ciphertext == ""

    def test_a_host_of_ones_own_is_free_on_purpose_and_a_public_one_unpriced(self) -> None:
        own, _ = add_provider("own", "openai_chat", URL, models=["a"], allow_private=True)
        public, _ = add_provider("public", "openai_chat", "https://192.0.9.1/v1", models=["b"])
        price = own.models.get().prices.get()
        assert (price.input, price.output, price.source) == (0, 0, "own host, free")
        assert not public.models.get().prices.exists()

    def test_a_taken_model_name_is_prefixed(self, host: Provider) -> None:
        LanguageModel.objects.create(provider=host, name="m", upstream_id="m")
        provider, _ = add_provider("x", "openai_chat", URL, models=["m"], allow_private=True)
        assert provider.models.get().name == "x/m"

    @pytest.mark.parametrize(
        ("wish", "word"),
        [
            ({"name": "Bad Name"}, "lower-case"),
            ({"wire": "soap"}, "no wire soap"),
            ({"base_url": "http://api.example.com"}, "https://"),
            ({"base_url": "https://0x7f.1"}, "four decimal"),
            ({"base_url": "https://127.0.0.1/v1"}, "public Internet"),
            ({"resolver": private}, r"10\.0\.0\.8"),
            ({"resolver": absent}, "cannot be resolved"),
            ({"models": ["a b"]}, "no model id"),
            ({"price_in": Decimal(1)}, "both prices"),
            ({"price_in": Decimal(-1), "price_out": Decimal(1)}, "from 0"),
            ({"key": "a b"}, "only the key"),
            ({"resolver": lambda h, p: ["169.254.169.254"], "allow_private": True}, "link-local"),
        ],
    )
    def test_a_wrong_wish_is_one_sentence_and_stores_nothing(self, wish: dict[str, Any], word: str) -> None:
        good = {"name": "x", "wire": "openai_chat", "base_url": "https://api.example.com/v1", "resolver": public}
        with pytest.raises(ActionError, match=word):
            add_provider(**{**good, **wish})
        assert not Provider.objects.exists()

    def test_a_stored_key_is_not_sent_to_a_new_host_unasked(self) -> None:
        add_provider("x", "openai_chat", URL, key="canary-0123456789", allow_private=True)
        with pytest.raises(ActionError, match="give the key again"):
            add_provider("x", "openai_chat", "http://127.0.0.1:9999/v1", allow_private=True)
        add_provider("x", "openai_chat", "http://127.0.0.1:8099/other", allow_private=True)
        add_provider("x", "openai_chat", "http://127.0.0.1:9999/v1", key="canary-0123456789", allow_private=True)

    def test_a_provider_the_gateway_brings_is_not_overwritten(self) -> None:
        load_catalogue()
        with pytest.raises(ActionError, match="brings along"):
            add_provider("openai", "openai_chat", URL, allow_private=True)


class TestTheLocalModel:
    def test_is_an_ordinary_provider_free_on_purpose_and_last(self) -> None:
        load_catalogue()
        row = register_local(URL, "smollm", "Small", key="canary-0123456789", context_window=4096)
        assert (row.provider.slug, row.provider.priority, row.provider.allow_private) == ("local", 90, True)
        assert row.provider.priority > max(Provider.objects.exclude(slug="local").values_list("priority", flat=True))
        price = Price.objects.get(model=row)
        assert (price.input, price.output, price.source) == (0, 0, "free local model")
        assert Alias.objects.get(name="local").targets.get().model == row

    def test_a_restart_changes_address_and_key_and_nothing_else(self) -> None:
        first = register_local(URL, "smollm", "Small", key="canary-0123456789")
        Provider.objects.filter(slug="local").update(priority=5, title="Mine")
        LanguageModel.objects.filter(pk=first.pk).update(title="My model")
        again = register_local("http://127.0.0.1:8111/v1", "smollm", "Small", key="another-0123456789")
        provider = again.provider
        assert (again.pk, again.title, provider.priority, provider.title) == (first.pk, "My model", 5, "Mine")
        assert provider.base_url == "http://127.0.0.1:8111/v1"
        assert Price.objects.count() == 1
        key = ProviderKey.objects.get()
        assert vault.open_sealed(key.ciphertext, place=vault.place_of(key)).reveal() == "another-0123456789"

    def test_leaves_routing_when_nobody_serves_it_and_comes_back(self) -> None:
        register_local(URL, "smollm")
        retire_local()
        assert not ProviderKey.objects.filter(enabled=True).exists()
        retire_local()
        register_local(URL, "smollm")
        assert ProviderKey.objects.get().enabled

    def test_stays_off_when_the_operator_switched_it_off(self) -> None:
        register_local(URL, "smollm")
        Provider.objects.filter(slug="local").update(enabled=False)
        register_local(URL, "smollm")
        assert not Provider.objects.get(slug="local").enabled


SIMULATED = {name: f"http://127.0.0.1:8100/{name}" for name in ("openai", "anthropic", "gemini", "fireworks")}


class TestTheSimulator:
    @pytest.fixture(autouse=True)
    def loaded(self) -> None:
        load_catalogue()
        Provider.objects.filter(slug="openai").update(base_url="https://eu.example.com/v1")
        self.key = store_provider_key(Provider.objects.get(slug="openai"), "canary-0123456789")
        off = store_provider_key(Provider.objects.get(slug="openai"), "canary-9876543210", "off")
        ProviderKey.objects.filter(pk=off.pk).update(enabled=False)
        self.before = self.state()

    def state(self) -> list[Any]:
        providers = Provider.objects.order_by("slug").values_list("slug", "base_url", "allow_private", "simulated", "enabled", "priority")
        keys = ProviderKey.objects.order_by("pk").values_list("pk", "name", "enabled", "ciphertext")
        return [*providers, *keys]

    def test_stands_for_all_four_and_no_real_key_is_sent_to_it(self) -> None:
        keys = register_simulated(SIMULATED)
        assert {key.provider.slug for key in keys} == set(SIMULATED)
        for provider in Provider.objects.filter(slug__in=SIMULATED):
            assert (provider.simulated, provider.base_url) == (True, SIMULATED[provider.slug])
            enabled = provider.keys.filter(enabled=True)
            assert [key.from_environment for key in enabled] == ["simulator"]

    def test_leaving_puts_everything_back_as_it_was(self) -> None:
        register_simulated(SIMULATED)
        assert set(leave_simulated()) == set(SIMULATED)
        assert self.state() == self.before

    def test_twice_in_and_twice_out_is_the_same(self) -> None:
        register_simulated(SIMULATED)
        register_simulated({name: url.replace("8100", "8200") for name, url in SIMULATED.items()})
        assert Provider.objects.get(slug="openai").base_url == "http://127.0.0.1:8200/openai"
        leave_simulated()
        assert leave_simulated() == []
        assert self.state() == self.before

    def test_a_key_pasted_meanwhile_is_kept_and_comes_into_force_afterwards(self) -> None:
        register_simulated(SIMULATED)
        pasted = store_provider_key(Provider.objects.get(slug="gemini"), "canary-5555555555")
        register_simulated(SIMULATED)
        assert not ProviderKey.objects.get(pk=pasted.pk).enabled
        leave_simulated()
        assert ProviderKey.objects.get(pk=pasted.pk).enabled

    def test_an_address_the_operator_entered_meanwhile_is_kept(self) -> None:
        register_simulated(SIMULATED)
        Provider.objects.filter(slug="gemini").update(base_url="https://real.example.com/v1beta")
        leave_simulated()
        assert Provider.objects.get(slug="gemini").base_url == "https://real.example.com/v1beta"

    def test_leaving_what_was_never_entered_changes_nothing(self) -> None:
        version = CatalogueVersion.current()
        assert leave_simulated() == []
        assert (self.state(), CatalogueVersion.current()) == (self.before, version)
