"""A client key is shown once, on the answer to its creation."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm_gateway.core.keys import CLIENT_KEY_FORM, public_id_of
from llm_gateway.models import ClientKey
from llm_gateway.stores import vault
from tests.analytics import factories

from .forms import post

pytestmark = pytest.mark.django_db
ADD = "/admin/llm_gateway/clientkey/add/"


def test_it_is_shown_once_and_never_again(boss: Client) -> None:
    answer = post(boss, ADD, name="ci", team=factories.team().pk)
    html = answer.content.decode()
    row = ClientKey.objects.get()
    found = re.search(CLIENT_KEY_FORM, html)
    assert found is not None
    key = found[0]
    assert html.count(key) == 1
    assert "no-store" in answer["Cache-Control"]
    assert (public_id_of(key), bytes(row.digest)) == (row.public_id, vault.digest(key))
    assert row.scopes == ["generate", "analyze", "read"]
    assert row.created_by is not None
    pages = ["/admin/", "/admin/llm_gateway/clientkey/", *(f"/admin/llm_gateway/clientkey/{row.pk}/{p}/" for p in ("change", "history"))]
    secret = key.split("_")[2]
    for page in pages:
        assert secret not in boss.get(page).content.decode()
    assert secret not in str(list(LogEntry.objects.values()))
    assert secret not in str([s.get_decoded() for s in Session.objects.all()])


def test_a_wrong_form_makes_no_key(boss: Client) -> None:
    team = factories.team()
    factories.client_key("ci", team)
    for changes, said in (
        ({"name": "ci"}, "already exists"),
        ({"name": "x", "models_allowed": "nope, claude"}, "There is no model or alias named nope, claude"),
        ({"name": "x", "expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}, "That moment has passed"),
        ({"name": "x", "scopes": []}, "This field is required"),
    ):
        assert said in post(boss, ADD, team=team.pk, **changes).content.decode(), said
    assert ClientKey.objects.count() == 1


def test_models_are_typed_with_commas(boss: Client) -> None:
    factories.catalogue()
    post(boss, ADD, name="ci", team=factories.team().pk, models_allowed=" claude ,kimi-k3,, claude")
    assert ClientKey.objects.get().models_allowed == ["claude", "kimi-k3"]


def test_revoking_is_for_good_and_logged(boss: Client) -> None:
    row = factories.client_key()
    answer = boss.post(reverse("admin:llm_gateway_clientkey_revoke", args=[row.pk]), follow=True)
    row.refresh_from_db()
    assert row.revoked_at is not None
    assert "is revoked" in answer.content.decode()
    assert "/revoke/" not in answer.content.decode()
    assert LogEntry.objects.filter(change_message="Revoked.").count() == 1
    assert boss.get(reverse("admin:llm_gateway_clientkey_delete", args=[row.pk])).status_code == 403


def test_a_key_tells_when_its_newest_request_came(boss: Client) -> None:
    used, unused = factories.client_key("ci"), factories.client_key("laptop")
    served = factories.model("m", factories.provider())
    now = timezone.now()
    for minutes in (50, 7, 30):
        factories.request(now - timedelta(minutes=minutes), used, served)
    listed = {row.name: row.last_used for row in boss.get("/admin/llm_gateway/clientkey/").context["cl"].result_list}
    assert listed == {"ci": now - timedelta(minutes=7), "laptop": None}
    for row, state, when in ((used, "in use", "7 min ago"), (unused, "never used", "never")):
        page = boss.get(f"/admin/llm_gateway/clientkey/{row.pk}/change/").content.decode()
        assert state in page
        assert when in page
