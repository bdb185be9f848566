"""One page from a host's name to its models; and what a wrong provider may do afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from llm_gateway.actions import ActionError
from llm_gateway.actions.connect_models import Wanted, connect_models
from llm_gateway.actions.list_models import list_models, read_list
from llm_gateway.models import AuditEntry, KeyCheck, LanguageModel, Price, Provider, ProviderKey, RequestLog
from llm_gateway.providers.presets import presets
from llm_gateway.simulator import ThreadedSimulator
from tests.analytics import factories

from .conftest import signed_in
from .forms import post

pytestmark = pytest.mark.django_db
CONNECT = "/admin/llm_gateway/provider/connect/"


@pytest.fixture(autouse=True)
def addresses() -> None:
    """Addresses are judged as they are: the hosts here are on this machine, or nowhere."""


@pytest.fixture
def simulator() -> Iterator[ThreadedSimulator]:
    with ThreadedSimulator(latency_ms=0, chunk_ms=0, seed=1) as running:
        yield running


def form(simulator: ThreadedSimulator, **more: Any) -> dict[str, Any]:
    return {"title": "Mine", "slug": "mine", "base_url": simulator.base_url("custom"), "wire": "openai_chat", "allow_private": "on", **more}


def test_a_host_is_connected_on_one_page(boss: Client, simulator: ThreadedSimulator) -> None:
    assert all(one.title in boss.get(CONNECT).content.decode() for one in presets().values())
    answer = boss.post(f"{CONNECT}?preset=-", form(simulator, key="sim-valid-connect"), follow=True)
    row, key = Provider.objects.get(slug="mine"), ProviderKey.objects.get(provider__slug="mine")
    page = answer.content.decode()
    assert key.state == "valid", page[-2000:]
    assert "sim-valid-connect" not in page
    listed = list_models(row)
    assert listed
    assert all(one.id in page for one in listed)
    done = boss.post(f"{CONNECT}?provider={row.pk}", {"model": [listed[0].id], "ids": "own-model, *"}, follow=True)
    assert "with 3 models" in done.content.decode()
    assert set(row.models.values_list("upstream_id", flat=True)) == {listed[0].id, "own-model", "*"}
    assert {one.source for one in Price.objects.filter(model__provider=row)} == {"own host, free"}
    assert [one.known for one in list_models(row)].count(True) == 1
    assert AuditEntry.objects.filter(action="added", noun="llm_gateway.provider").exists()


def test_a_wrong_key_is_told_and_nothing_is_listed(boss: Client, simulator: ThreadedSimulator) -> None:
    page = boss.post(f"{CONNECT}?preset=-", form(simulator, key="sim-invalid-connect"), follow=True).content.decode()
    assert ProviderKey.objects.get(provider__slug="mine").state == "invalid"
    assert "refuses this key" in page
    assert "Models it lists" not in page
    again = boss.post(f"{CONNECT}?preset=-", form(simulator, key="x")).content.decode()
    assert "There is a provider named mine already" in again


@pytest.mark.parametrize(
    ("preset", "sent", "said"),
    [
        ("groq", {"title": "Groq", "slug": "g", "base_url": "http://127.0.0.1:9/v1"}, "needs a key"),
        ("-", {"allow_private": ""}, "private"),
        ("-", {"wire": "smoke signals"}, "Select a valid choice"),
        ("-", {"base_url": "javascript:alert(1)"}, "http"),
        ("-", {"key": "two words"}, "spaces"),
        ("-", {"slug": "../x"}, "Enter a valid"),
    ],
)
def test_nonsense_connects_nothing(boss: Client, simulator: ThreadedSimulator, preset: str, sent: dict[str, Any], said: str) -> None:
    answer = boss.post(f"{CONNECT}?preset={preset}", form(simulator) | sent)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Provider.objects.exists()


def test_only_who_may_add_all_three_connects() -> None:
    for role, status in (("operator", 200), ("viewer", 403), ("finance", 403), ("auditor", 403)):
        assert signed_in(role).get(CONNECT).status_code == status, role
        assert signed_in(f"{role}2").get(CONNECT).status_code == 403


def test_typed_prices_are_for_those_who_keep_prices(simulator: ThreadedSimulator, boss: Client) -> None:
    row = factories.provider("priced", base_url="http://127.0.0.1:9/v1")
    sent = {"ids": "some-model", "price_in": "1", "price_out": "2"}
    signed_in("operator").post(f"{CONNECT}?provider={row.pk}", sent)
    assert not Price.objects.exists()
    LanguageModel.objects.all().delete()
    boss.post(f"{CONNECT}?provider={row.pk}", sent)
    assert [(one.input, one.output) for one in Price.objects.all()] == [(Decimal(1), Decimal(2))]


def test_lists_of_any_format_are_read_and_junk_is_left_out() -> None:
    openrouter = (
        b'{"data":[{"id":"b/x","context_length":8000,"pricing":{"prompt":"0.000003","completion":"0.000015"}},{"id":7},{"id":"a b"}]}'
    )
    (one,) = read_list(openrouter)
    assert (one.id, one.context_window, one.price_in, one.price_out) == ("b/x", 8000, Decimal(3), Decimal(15))
    assert [one.id for one in read_list(b'{"models":[{"name":"models/gem"}]}')] == ["gem"]
    assert [one.id for one in read_list(b'["z","a"]')] == ["a", "z"]
    odd = b'{"data":[{"id":"x","pricing":{"prompt":"-1","completion":"NaN"},"context_length":-5}]}'
    assert [(one.price_in, one.context_window) for one in read_list(odd)] == [(None, None)]
    for body in (b"<html>", b"{}", b'{"data":{}}', b""):
        with pytest.raises(ActionError, match="no list"):
            read_list(body)


def test_published_prices_come_with_a_known_host() -> None:
    row = factories.provider("deepseek2", base_url="https://api.deepseek.com/v1")

    async def fetch(url: str, headers: dict[str, str], *, allow_private: bool) -> tuple[int, bytes]:
        return 200, b'{"data":[{"id":"deepseek-chat"},{"id":"nobody-prices-this"}]}'

    found = {one.id: one for one in list_models(row, fetch)}
    assert found["deepseek-chat"].price_in is not None
    assert found["deepseek-chat"].source.startswith("genai-prices")
    assert found["nobody-prices-this"].price_in is None
    (model,) = connect_models(row, [Wanted(id="deepseek-chat")])
    assert model.prices.exists()
    assert connect_models(row, [Wanted(id="deepseek-chat")]) == [model]


def test_d9_a_wrong_provider_goes_with_all_that_is_its_own(boss: Client) -> None:
    for client in (boss, signed_in("operator")):
        row = factories.provider("wrong", base_url="https://wrong.example/v1")
        model = factories.model("m", row)
        key = ProviderKey.objects.create(provider=row, ciphertext="v1.a.b")
        KeyCheck.objects.create(provider_key=key, at=timezone.now(), state="invalid", trigger="save")
        assert Price.objects.filter(model=model).exists()
        url = f"/admin/llm_gateway/provider/{row.pk}/delete/"
        assert "permission" not in client.get(url).content.decode()
        assert client.post(url, {"post": "yes"}).status_code == 302
        assert not Provider.objects.filter(pk=row.pk).exists()
        assert not Price.objects.exists()


def test_a_provider_that_billed_stays_and_the_page_says_why(boss: Client) -> None:
    row = factories.provider("billed")
    model = factories.model("m", row)
    log = factories.request(timezone.now(), factories.client_key(), model)
    RequestLog.objects.filter(pk=log.pk).update(price_id=Price.objects.filter(model=model)[0].pk)
    url = f"/admin/llm_gateway/provider/{row.pk}/delete/"
    assert "Switch it off instead" in boss.get(url).content.decode()
    boss.post(url, {"post": "yes"})
    boss.post("/admin/llm_gateway/provider/", {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert Provider.objects.filter(pk=row.pk).exists()


def test_a_name_can_be_put_right_until_the_log_holds_it(boss: Client) -> None:
    row = factories.provider("mistral-typo", service="custom")
    url = f"/admin/llm_gateway/provider/{row.pk}/change/"
    assert post(boss, url, slug="mistral").status_code == 302
    row.refresh_from_db()
    assert row.slug == "mistral"
    factories.request(timezone.now(), factories.client_key(), factories.model("m", row))
    post(boss, url, slug="again")
    row.refresh_from_db()
    assert row.slug == "mistral"
