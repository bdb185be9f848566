"""A key is pasted once; nothing the console shows or stores ever holds it again."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm_gateway.admin import provider_keys
from llm_gateway.models import KeyCheck, Provider, ProviderKey
from tests.analytics import factories

from .forms import post

pytestmark = pytest.mark.django_db
ADD = "/admin/llm_gateway/providerkey/add/"


@pytest.fixture
def canary() -> str:
    """No likeness of any provider's key, and in no other text."""
    return f"canary.{uuid.uuid4().hex}"


def everywhere(client: Client, row: ProviderKey) -> str:
    """All that could betray it."""
    pages = [
        "/admin/",
        "/admin/llm_gateway/providerkey/",
        "/admin/llm_gateway/provider/",
        f"/admin/llm_gateway/provider/{row.provider_id}/change/",
        *(f"/admin/llm_gateway/providerkey/{row.pk}/{page}/" for page in ("change", "history", "delete", "state")),
    ]
    seen = [client.get(page).content.decode() for page in pages]
    seen += [f"{e.object_repr} {e.change_message}" for e in LogEntry.objects.all()]
    seen += [str(s.get_decoded()) for s in Session.objects.all()]
    return "\n".join([*seen, repr(row), str(row), str(ProviderKey.objects.values().get(pk=row.pk))])


def test_a_pasted_key_is_sealed_checked_and_never_shown(
    boss: Client, checks: list[Any], canary: str, django_capture_on_commit_callbacks: Any
) -> None:
    acme = factories.provider(service="openai")
    with django_capture_on_commit_callbacks(execute=True):
        answer = post(boss, ADD, provider=acme.pk, name="main", new_key=f"  {canary} ")
    row = ProviderKey.objects.get()
    assert answer.url == reverse("admin:llm_gateway_providerkey_change", args=[row.pk])
    assert row.ciphertext.startswith("v1.")
    assert (row.hint, row.state) == (f"…{canary[-4:]}", "unchecked")
    assert checks == [([row.pk], "save")]
    assert canary not in answer.content.decode()
    assert canary not in everywhere(boss, row)


def test_a_refused_form_does_not_echo_what_was_pasted(boss: Client, canary: str) -> None:
    acme = factories.provider(service="openai")
    answer = post(boss, ADD, provider=acme.pk, name="", new_key=canary)
    assert answer.status_code == 200
    assert canary not in answer.content.decode()
    answer = post(boss, ADD, provider=acme.pk, name="main", new_key=f"{canary}\x07x")
    assert "characters outside ASCII" in answer.content.decode()
    assert canary not in answer.content.decode()
    assert not ProviderKey.objects.exists()


def test_a_service_that_needs_a_key_says_so(boss: Client) -> None:
    acme = factories.provider(service="openai")
    assert "needs a key; paste one" in post(boss, ADD, provider=acme.pk, name="main").content.decode()


def test_an_empty_field_keeps_the_stored_key(boss: Client, checks: list[Any], canary: str) -> None:
    acme = factories.provider(service="openai")
    post(boss, ADD, provider=acme.pk, name="main", new_key=canary)
    row = ProviderKey.objects.get()
    before = row.ciphertext
    checks.clear()
    post(boss, reverse("admin:llm_gateway_providerkey_change", args=[row.pk]), weight="3")
    row.refresh_from_db()
    assert (row.ciphertext, row.weight) == (before, 3)
    assert checks == []


def test_a_key_can_be_pasted_on_the_page_of_its_provider(
    boss: Client, checks: list[Any], canary: str, django_capture_on_commit_callbacks: Any
) -> None:
    rows = {"keys-TOTAL_FORMS": "1", "keys-0-name": "default", "keys-0-new_key": canary, "keys-0-enabled": "on", "keys-0-weight": "1"}
    main = {"title": "Acme", "slug": "acme", "service": "openai", "wire": "openai_chat", "base_url": "https://acme.example/v1"}
    with django_capture_on_commit_callbacks(execute=True):
        answer = post(boss, "/admin/llm_gateway/provider/add/", **main, **rows)
    assert answer.status_code == 302, answer.content.decode()
    row = ProviderKey.objects.get()
    assert (row.provider, row.hint) == (Provider.objects.get(), f"…{canary[-4:]}")
    assert checks == [([row.pk], "save")]
    assert canary not in everywhere(boss, row)


def test_the_page_shows_state_reason_evidence_and_history(boss: Client) -> None:
    row = factories.catalogue()["keys"]["gemini"]
    html = boss.get(reverse("admin:llm_gateway_providerkey_change", args=[row.pk])).content.decode()
    assert "refuses this key" in html
    assert "API key not valid" in html
    assert html.count("field-when") == KeyCheck.objects.filter(provider_key=row).count()


def test_the_state_panel_asks_again_only_while_a_check_runs(boss: Client) -> None:
    row = factories.catalogue()["keys"]["openai"]
    url = reverse("admin:llm_gateway_providerkey_state", args=[row.pk])
    assert "hx-trigger" not in boss.get(url).content.decode()
    ProviderKey.objects.filter(pk=row.pk).update(checking_until=timezone.now() + timedelta(seconds=30))
    assert 'hx-trigger="every' in boss.get(url).content.decode()


def test_check_now_asks_for_the_check(boss: Client, checks: list[Any], django_capture_on_commit_callbacks: Any) -> None:
    row = factories.catalogue()["keys"]["openai"]
    url = reverse("admin:llm_gateway_providerkey_check", args=[row.pk])
    with django_capture_on_commit_callbacks(execute=True):
        answer = boss.post(f"{url}?from_list=1")
    assert answer.url == "/admin/llm_gateway/providerkey/"
    assert checks == [([row.pk], "demand")]


@pytest.mark.django_db(transaction=True)
def test_a_check_that_breaks_leaves_the_key_saved(boss: Client, canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(ids: list[int], trigger: str) -> bool:
        raise OSError(canary)

    monkeypatch.setattr(provider_keys._verbs, "check_keys", breaks)
    answer = post(boss, ADD, provider=factories.provider(service="openai").pk, name="main", new_key=canary)
    html = boss.get(answer.url).content.decode()
    assert "could not be checked now (OSError)" in html
    assert canary not in html
    assert ProviderKey.objects.get().hint
