"""The pages of a client key: roll, spend, budgets, and a form that makes one key however often it is sent."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm_gateway.core.keys import CLIENT_KEY_FORM
from llm_gateway.models import Budget, ClientKey, ReplacedKey
from tests.analytics import factories

from .conftest import signed_in
from .forms import fields_of, post

pytestmark = pytest.mark.django_db
ADD = "/admin/llm_gateway/clientkey/add/"


def test_a_form_that_is_sent_again_makes_no_second_key_and_no_error(boss: Client) -> None:
    sent = fields_of(boss.get(ADD).content.decode()) | {"name": "ci", "team": factories.team().pk, "budget_usd": "12.5"}
    first = boss.post(ADD, sent)
    assert re.search(CLIENT_KEY_FORM, first.content.decode())
    assert "once.js" in first.content.decode()
    again = boss.post(ADD, sent | {"name": "other name"}, follow=True)
    assert "has made this key already" in again.content.decode()
    assert not re.search(CLIENT_KEY_FORM, again.content.decode())
    row = ClientKey.objects.get()
    assert Budget.objects.get(client_key=row).limit_nusd == 12_500_000_000


def test_who_sets_no_budgets_sets_none_with_a_key() -> None:
    operator = signed_in("operator")
    assert "budget_usd" not in fields_of(operator.get(ADD).content.decode())
    post(operator, ADD, name="ci", team=factories.team().pk, budget_usd="5")
    assert not Budget.objects.exists()


def test_a_key_is_rolled_once_per_form_and_its_old_text_can_be_ended(boss: Client) -> None:
    row = factories.client_key()
    url = reverse("admin:llm_gateway_clientkey_roll", args=[row.pk])
    sent = fields_of(boss.get(url).content.decode()[boss.get(url).content.decode().find("cogo-form") :])
    assert sent["expected"] == row.public_id
    answer = boss.post(url, sent | {"overlap": "24"})
    assert re.search(CLIENT_KEY_FORM, answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    again = boss.post(url, sent | {"overlap": "24"}, follow=True)
    assert "was rolled already" in again.content.decode()
    old = ReplacedKey.objects.get()
    assert old.public_id == row.public_id
    page = boss.get(f"/admin/llm_gateway/clientkey/{row.pk}/change/").content.decode()
    assert f"cogo_{old.public_id}_…" in page
    assert boss.get(f"/admin/llm_gateway/clientkey/?q={old.public_id}").context["cl"].result_count == 1
    other = factories.client_key("other")
    foreign = boss.post(reverse("admin:llm_gateway_clientkey_end", args=[other.pk, old.pk]), follow=True)
    assert "is dead" not in foreign.content.decode(), "not under another key"
    boss.post(reverse("admin:llm_gateway_clientkey_end", args=[row.pk, old.pk]))
    old.refresh_from_db()
    assert old.dies_at <= timezone.now()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"overlap": ""}, "Enter the moment"),
        ({"overlap": "", "moment_0": "2020-01-01", "moment_1": "00:00"}, "has passed"),
        ({"overlap": "", "moment_0": "2999-01-01", "moment_1": "00:00"}, "at most 90 days"),
        ({"overlap": "-5"}, "Select a valid choice"),
        ({"overlap": "24", "expected": "x" * 13}, "at most 12 characters"),
    ],
)
def test_a_wrong_moment_rolls_nothing(boss: Client, sent: dict[str, str], said: str) -> None:
    row = factories.client_key()
    answer = boss.post(reverse("admin:llm_gateway_clientkey_roll", args=[row.pk]), {"expected": row.public_id} | sent, follow=True)
    assert said in answer.content.decode()
    assert not ReplacedKey.objects.exists()


def test_the_page_shows_budgets_and_spend_to_those_who_may_see_them(boss: Client) -> None:
    row = factories.client_key()
    served = factories.model("m", factories.provider())
    log = factories.request(timezone.now() - timedelta(minutes=5), row, served)
    Budget.objects.create(name="the team's", team=row.team, limit_nusd=10**10)
    Budget.objects.create(name="somebody else's", client_key=factories.client_key("x"), limit_nusd=10**10)
    url = f"/admin/llm_gateway/clientkey/{row.pk}/change/"
    page = boss.get(url).content.decode()
    assert log.cost_nusd is not None
    assert f"${log.cost_nusd / 10**9:.9f}".rstrip("0") in page
    assert "the team&#x27;s" in page
    assert "somebody else" not in page
    viewer = signed_in("viewer").get(url).content.decode()
    assert "the team&#x27;s" not in viewer
    assert "1 request<" in viewer


def test_the_picker_gets_names_and_no_secret(boss: Client) -> None:
    factories.catalogue()
    found = boss.get(reverse("admin:llm_gateway_clientkey_names"))
    assert {"kimi-k3", "claude-sonnet-5-5"} <= {one["name"] for one in found.json()["models"]}
    assert Client().get(reverse("admin:llm_gateway_clientkey_names")).status_code == 302
    assert signed_in("finance").get(reverse("admin:llm_gateway_clientkey_names")).status_code == 403
