"""Where a provider is, and that its key never follows it to another host."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from llm_gateway.models import Provider, ProviderKey
from tests.analytics import factories

from .forms import post

pytestmark = pytest.mark.django_db
ADD = "/admin/llm_gateway/provider/add/"
ROW = {"title": "Acme", "slug": "acme", "service": "custom", "wire": "openai_chat"}


def change(row: Provider) -> str:
    return f"/admin/llm_gateway/provider/{row.pk}/change/"


def test_a_stored_key_is_not_sent_to_another_host(boss: Client) -> None:
    row = factories.provider(base_url="https://api.acme.example/v1")
    key = ProviderKey.objects.create(provider=row, ciphertext="v1.a.b")
    for url in (
        "https://evil.example/v1",
        "http://api.acme.example/v1",
        "https://api.acme.example:8443/v1",
        "https://api.acme.example@evil.example",
    ):
        answer = post(boss, change(row), base_url=url)
        assert answer.status_code == 200, url
        row.refresh_from_db()
        assert row.base_url == "https://api.acme.example/v1"
    assert "leads to another host" in post(boss, change(row), base_url="https://evil.example/v1").content.decode()
    assert post(boss, change(row), base_url="https://api.acme.example/v2").status_code == 302
    key.delete()
    assert post(boss, change(row), base_url="https://other.example/v1").status_code == 302
    row.refresh_from_db()
    assert row.base_url == "https://other.example/v1"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:11434/v1", "http://169.254.169.254/", "ftp://acme.example", "not a url", "https://u:p@acme.example"]
)
def test_an_address_a_provider_may_not_have_is_refused(boss: Client, url: str) -> None:
    assert post(boss, ADD, **ROW, base_url=url).status_code == 200
    assert not Provider.objects.exists()


def test_a_private_host_needs_the_switch_and_may_have_no_dot(boss: Client) -> None:
    assert post(boss, ADD, **ROW, base_url="http://ollama:11434/v1", allow_private="on").status_code == 302
    assert Provider.objects.get().base_url == "http://ollama:11434/v1"


def test_a_known_host_brings_its_address(boss: Client) -> None:
    assert post(boss, ADD, **ROW, preset="deepseek", base_url="").status_code == 302
    row = Provider.objects.get()
    assert (row.preset, row.base_url) == ("deepseek", "https://api.deepseek.com")


def test_a_host_without_an_address_is_refused_in_words(boss: Client) -> None:
    for preset in ("", "azure"):
        answer = post(boss, ADD, **ROW, preset=preset, base_url="")
        assert "Enter the host&#x27;s address, or choose a known host" in answer.content.decode()
    assert post(boss, ADD, **ROW, preset="nonesuch", base_url="https://acme.example/v1").status_code == 200
    assert not Provider.objects.exists()


def test_habits_are_checked_before_they_are_kept(boss: Client) -> None:
    row = factories.provider(base_url="https://api.acme.example/v1")
    for wrong, said in (
        ('{"user_limits": 3}', "There is no fact"),
        ('{"extensions": ["nonsense"]}', "There is no extension"),
        ('{"user_limit": 0}', "from 1 to 4096"),
        ("[1]", "Facts are an object"),
        ("{", "valid JSON"),
    ):
        assert said in post(boss, change(row), facts=wrong).content.decode()
    assert post(boss, change(row), facts='{"user_limit": 32}').status_code == 302
    row.refresh_from_db()
    assert row.facts == {"user_limit": 32}
    assert post(boss, change(row), facts="").status_code == 302
    row.refresh_from_db()
    assert row.facts == {}


def test_only_what_is_installed_can_be_chosen(boss: Client) -> None:
    url = "https://acme.example/v1"
    assert post(boss, ADD, **ROW | {"service": "os.system"}, base_url=url).status_code == 200
    assert post(boss, ADD, **ROW | {"wire": "smtp"}, base_url=url).status_code == 200
    assert not Provider.objects.exists()


def test_the_slug_stays_and_the_list_edits_priority_and_switch(boss: Client) -> None:
    row = factories.provider()
    factories.request(timezone.now(), factories.client_key(), factories.model("m", row))
    post(boss, change(row), slug="renamed", title="New")
    row.refresh_from_db()
    assert (row.slug, row.title) == ("acme", "New")
    rows = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": row.pk, "form-0-priority": 5, "_save": "Save"}
    assert boss.post("/admin/llm_gateway/provider/", rows).status_code == 302
    row.refresh_from_db()
    assert (row.priority, row.enabled) == (5, False)
