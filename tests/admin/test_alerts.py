"""Alert rules and destinations as forms, the badge in the menu, and the button that sends a test."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm_gateway.actions._destinations import place_of
from llm_gateway.actions.raise_alerts import ensure_rules
from llm_gateway.models import Alert, AlertDestination, AlertRule, AuditEntry
from llm_gateway.stores import vault

from .conftest import signed_in
from .forms import fields_of, post

pytestmark = pytest.mark.django_db
ADD = "/admin/llm_gateway/alertdestination/add/"
RULES = "/admin/llm_gateway/alertrule/"


def test_a_rule_is_made_and_changed_by_its_own_figures(boss: Client) -> None:
    row = AlertDestination.objects.create(name="ops", kind="mail", addresses=["ops@example.test"])
    sent: dict[str, Any] = {
        "event": "latency",
        "name": "Slow",
        "latency__p95_ms": "9000",
        "error_rate__percent": "77",
        "destinations": [row.pk],
    }
    assert post(boss, f"{RULES}add/", **sent).status_code == 302
    rule = AlertRule.objects.get()
    assert (rule.event, rule.settings, list(rule.destinations.all())) == (
        "latency", {"p95_ms": 9000, "requests": 20, "minutes": 10}, [row],
    )  # fmt: skip
    url = f"{RULES}{rule.pk}/change/"
    page = boss.get(url).content.decode()
    assert 'value="9000"' in page
    assert "error_rate__percent" not in page
    assert post(boss, url, latency__minutes="30").status_code == 302
    rule.refresh_from_db()
    assert rule.settings == {"p95_ms": 9000, "requests": 20, "minutes": 30}
    assert "greater than or equal to 1" in post(boss, url, latency__minutes="0").content.decode()
    assert "Select a valid choice" in post(boss, f"{RULES}add/", event="os.system", name="x").content.decode()
    assert AuditEntry.objects.filter(noun="llm_gateway.alertrule", action="changed").exists()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"kind": "mail"}, "at least one address"),
        ({"kind": "mail", "addresses": "nobody"}, "Enter a valid email address"),
        ({"kind": "webhook", "url": "https://a.example.test/"}, "Enter a secret"),
        ({"kind": "webhook", "url": "http://a.example.test/", "secret": "x" * 16}, "begins with https"),
        ({"kind": "webhook", "url": "https://a.example.test/", "secret": "short"}, "16 characters"),
        ({"kind": "slack"}, "the hook"),
        ({"kind": "slack", "secret": "javascript:alert(1)"}, "begins with https"),
        ({"kind": "mail", "addresses": "a@example.test", "quiet_from": "22:00"}, "a beginning and an end"),
        ({"kind": "mail", "addresses": "a@example.test", "timezone": "Mars/Base"}, "time zone by its name"),
        ({"kind": "pigeon"}, "Select a valid choice"),
    ],
)
def test_a_wrong_destination_is_refused_in_words(boss: Client, sent: dict[str, str], said: str) -> None:
    answer = boss.post(ADD, fields_of(boss.get(ADD).content.decode()) | {"name": "d"} | sent)
    assert said in answer.content.decode()
    assert not AlertDestination.objects.exists()


def test_a_secret_is_kept_sealed_and_is_on_no_page(boss: Client) -> None:
    sent = {"name": "d", "kind": "webhook", "url": "https://a.example.test/x", "secret": "a word of sixteen"}
    assert boss.post(ADD, fields_of(boss.get(ADD).content.decode()) | sent).status_code == 302
    row = AlertDestination.objects.get()
    assert vault.open_sealed(row.ciphertext, place=place_of(row)).reveal() == "a word of sixteen"
    url = f"/admin/llm_gateway/alertdestination/{row.pk}/change/"
    for page in ("/admin/llm_gateway/alertdestination/", url, url.replace("change", "history")):
        assert "a word of sixteen" not in boss.get(page).content.decode()
    assert post(boss, url, name="renamed").status_code == 302
    row.refresh_from_db()
    assert vault.open_sealed(row.ciphertext, place=place_of(row)).reveal() == "a word of sixteen", "empty keeps it"
    assert "Enter the hook" in post(boss, url, kind="slack").content.decode(), "a signing secret is no address"


def test_a_test_is_sent_by_those_who_may_change_destinations(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"mail": True, "alert_email": "ops@example.test"}.items():
        monkeypatch.setitem(django_settings.COGO, name, value)
    row = AlertDestination.objects.create(name="ops", kind="mail", addresses=["a@example.test"])
    test = reverse("admin:llm_gateway_alertdestination_test", args=[row.pk])
    assert boss.get(test).status_code == 405
    assert "took the test" in boss.post(test, follow=True).content.decode()
    listed = boss.get("/admin/llm_gateway/alertdestination/").content.decode()
    assert "COGO_ALERT_EMAIL" in listed
    assert boss.post(reverse("admin:llm_gateway_alert_environment_test", args=["email"]), follow=True).status_code == 200
    assert boss.post(reverse("admin:llm_gateway_alert_environment_test", args=["webhook"])).status_code == 404
    assert [one.to for one in mail.outbox] == [["a@example.test"], ["ops@example.test"]]
    for role in ("finance", "auditor", "viewer"):
        client = signed_in(role)
        assert client.post(test).status_code == 403
        assert client.post(reverse("admin:llm_gateway_alert_environment_test", args=["email"])).status_code == 403
    assert len(mail.outbox) == 2


def test_unread_alerts_are_counted_in_the_menu_until_somebody_reads_them(boss: Client) -> None:
    ensure_rules()
    rule = AlertRule.objects.get(event="error_rate")
    figures = {"threshold": 0, "limit_nusd": 0, "spent_nusd": 0, "budget_name": "", "created_at": timezone.now()}
    rows = [
        Alert.objects.create(kind="event", rule=rule, event="error_rate", about=str(n), text="It <b>burns", **figures) for n in range(3)
    ]
    page = boss.get("/admin/llm_gateway/alert/")
    assert "It &lt;b&gt;burns" in page.content.decode()
    assert "3 not read" in page.content.decode()
    operator, auditor = signed_in("operator"), signed_in("auditor")
    sent = {"action": "mark_read", "_selected_action": [rows[0].pk]}
    auditor.post("/admin/llm_gateway/alert/", sent)
    assert auditor.post(reverse("admin:llm_gateway_alert_read")).status_code == 403
    assert not Alert.objects.exclude(seen_at=None).exists()
    operator.post("/admin/llm_gateway/alert/", sent)
    assert list(Alert.objects.exclude(seen_at=None).values_list("pk", "seen_by")) == [(rows[0].pk, "operator")]
    operator.post(reverse("admin:llm_gateway_alert_read"))
    assert not Alert.objects.filter(seen_at=None).exists()
    assert "not read." not in boss.get("/admin/llm_gateway/alert/").content.decode()
