"""Who is told: destinations of rules, quiet hours, and the environment's as before."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail

from llm_gateway.actions.alert_destinations import save_destination, try_destination, try_environment_destination
from llm_gateway.actions.rotate_encryption import verify_encryption
from llm_gateway.actions.send_alerts import MAX_TRIES, send_alerts
from llm_gateway.models import Alert, AlertDestination, AlertRule, AuditEntry, Budget, trail
from llm_gateway.policies.quiet import quiet_until

from .test_alerts import Hook

pytestmark = pytest.mark.django_db
NIGHT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
SLACK = "https://hooks.example.test/services/not-a-secret-path"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    options = {"mail": True, "alert_email": "", "alert_webhook_url": "", "alert_webhook_secret": "", "alert_webhook_private": False}
    for name, value in options.items():
        monkeypatch.setitem(django_settings.COGO, name, value)
    return django_settings.COGO


def destination(kind: str, secret: str = "", **more: Any) -> AlertDestination:
    row = AlertDestination(name=kind, kind=kind, **more)
    save_destination(row, secret)
    return row


def event(rule: AlertRule, at: datetime = NIGHT) -> Alert:
    figures = {"threshold": 0, "limit_nusd": 0, "spent_nusd": 0, "budget_name": ""}
    return Alert.objects.create(kind="event", rule=rule, event=rule.event, about="gateway", text="It burns.", created_at=at, **figures)


def test_an_event_goes_to_each_destination_of_its_rule_once_in_its_own_form() -> None:
    rule = AlertRule.objects.create(event="error_rate", name="r", environment=False)
    rows = [
        destination("mail", addresses=["a@example.test", "b@example.test"]),
        destination("webhook", "a secret of sixteen", url="https://hooks.example.test/x"),
        destination("slack", SLACK),
    ]
    rule.destinations.set(rows)
    alert, hook = event(rule), Hook()
    assert send_alerts(NIGHT, hook).sent == 1
    assert send_alerts(NIGHT + timedelta(days=1), hook).sent == 0
    (message,) = mail.outbox
    assert (message.to, message.subject, message.body) == (["a@example.test", "b@example.test"], "[COGO] Error rate", "It burns.")
    calls = {url: (body, headers) for url, body, headers in hook.calls}
    body, headers = calls["https://hooks.example.test/x"]
    stamp, sign = (part.partition("=")[2] for part in headers["x-cogo-signature"].split(","))
    assert hmac.compare_digest(sign, hmac.new(b"a secret of sixteen", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest())
    assert json.loads(body)["event"] == "error_rate"
    body, headers = calls[SLACK]
    assert json.loads(body) == {"text": "*[COGO] Error rate*\nIt burns."}
    assert "x-cogo-signature" not in headers
    alert.refresh_from_db()
    assert alert.delivered == sorted(row.channel for row in rows)


def test_budgets_alert_by_their_rules_and_without_rules_as_ever(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plain, "alert_email", "ops@example.test")
    budget = Budget.objects.create(name="b", limit_nusd=10**9)

    def told(kind: str) -> list[list[str]]:
        mail.outbox.clear()
        Alert.objects.all().delete()
        figures = {"threshold": 80, "limit_nusd": 10**9, "spent_nusd": 1, "created_at": NIGHT}
        Alert.objects.create(budget=budget, budget_name="b", kind=kind, **figures)
        assert send_alerts(NIGHT, Hook()).sent == 1
        return [one.to for one in mail.outbox]

    assert told("threshold") == [["ops@example.test"]]
    rule = AlertRule.objects.create(event="budget_threshold", name="r")
    rule.destinations.add(destination("mail", addresses=["cfo@example.test"]))
    assert sorted(told("threshold")) == [["cfo@example.test"], ["ops@example.test"]]
    assert told("exhausted") == [["ops@example.test"]], "another event"
    AlertRule.objects.update(environment=False)
    assert told("threshold") == [["cfo@example.test"]]
    AlertRule.objects.update(enabled=False)
    assert told("threshold") == []


def test_quiet_hours_wait_without_costing_a_try_and_urgent_ones_do_not_wait() -> None:
    sleeping = destination("mail", addresses=["a@example.test"], quiet_from=time(22), quiet_until=time(7), timezone="Europe/Berlin")
    awake = destination("slack", SLACK)
    rule = AlertRule.objects.create(event="error_rate", name="r", environment=False)
    rule.destinations.set([sleeping, awake])
    alert, hook = event(rule), Hook()
    assert send_alerts(NIGHT, hook).waiting == 1
    alert.refresh_from_db()
    assert (alert.delivered, alert.tries, alert.sent_at) == ([awake.channel], 0, None)
    assert alert.next_try_at == datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
    assert send_alerts(alert.next_try_at - timedelta(minutes=1), hook).waiting == 0
    assert send_alerts(alert.next_try_at, hook).sent == 1
    assert len(mail.outbox) == len(hook.calls) == 1
    AlertRule.objects.update(urgent=True)
    Alert.objects.update(resolved_at=NIGHT)
    event(rule)
    assert send_alerts(NIGHT, hook).sent == 1
    assert len(mail.outbox) == 2


def test_a_dead_destination_is_given_up_only_when_nobody_sleeps_any_more() -> None:
    rule = AlertRule.objects.create(event="error_rate", name="r", environment=False)
    sleeping = destination("mail", addresses=["a@example.test"], quiet_from=time(0, 1), quiet_until=time(0))
    rule.destinations.set([sleeping, destination("slack", SLACK)])
    event(rule)
    hook = Hook(*[500] * 100)
    for number in range(MAX_TRIES + 2):
        assert send_alerts(NIGHT + timedelta(hours=2 * number), hook).given_up == 0
    AlertDestination.objects.filter(pk=sleeping.pk).update(quiet_from=None, quiet_until=None)
    later = [send_alerts(NIGHT + timedelta(days=9, hours=2 * n), hook) for n in range(MAX_TRIES + 2)]
    assert sum(one.given_up for one in later) == 1
    assert len(mail.outbox) == 1


def test_a_test_arrives_or_says_why_and_the_row_remembers() -> None:
    row = destination("slack", SLACK)
    hook = Hook(200, 404)
    assert try_destination(row, hook) == ""
    assert "404" in try_destination(row, hook)
    row.refresh_from_db()
    assert row.tested_at is not None
    assert "404" in row.test_error
    closed = destination("webhook", "a secret of sixteen", url="https://127.0.0.1:9/")
    assert "AttemptFailed" in try_destination(closed), "a private address is never connected to"
    assert try_environment_destination("webhook", hook) == "it is not set up"


def test_without_a_mail_server_a_mail_destination_says_so(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plain, "mail", False)
    row = destination("mail", addresses=["a@example.test"])
    assert "COGO_EMAIL_URL" in try_destination(row)


def test_secrets_are_sealed_and_never_told() -> None:
    with trail.acting(trail.Actor(name="me")):
        row = destination("slack", SLACK)
    assert "not-a-secret-path" not in str(list(AlertDestination.objects.values())) + str(list(AuditEntry.objects.values()))
    assert verify_encryption() == []
    problem = try_destination(row, Hook(OSError(f"no way to {SLACK}")))
    assert "OSError" in problem
    assert "not-a-secret-path" not in problem
    AlertDestination.objects.update(ciphertext="v1.x.yyyy")
    row.refresh_from_db()
    assert "encryption key" in try_destination(row)
    rule = AlertRule.objects.create(event="error_rate", name="r", environment=False)
    rule.destinations.add(row)
    alert = event(rule)
    assert send_alerts(NIGHT, Hook()).waiting == 1
    alert.refresh_from_db()
    assert "slack: ValueError encryption key" in alert.error


@pytest.mark.parametrize(
    ("begin", "end", "at", "until"),
    [
        (22, 7, "2026-11-20T23:00", "2026-11-21T07:00"),
        (22, 7, "2026-11-21T06:59", "2026-11-21T07:00"),
        (22, 7, "2026-11-21T07:00", None),
        (1, 5, "2026-11-21T01:00", "2026-11-21T05:00"),
        (1, 5, "2026-11-21T00:59", None),
        (5, 5, "2026-11-21T05:00", None),
    ],
)
def test_quiet_hours_follow_a_clock(begin: int, end: int, at: str, until: str | None) -> None:
    found = quiet_until(time(begin), time(end), "UTC", datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert (found and found.isoformat()[:16]) == until


def test_quiet_hours_end_by_the_clock_when_it_is_put_back() -> None:
    found = quiet_until(time(22), time(7), "Europe/Berlin", datetime(2026, 10, 24, 21, 0, tzinfo=UTC))
    assert found is not None
    assert found.astimezone(UTC) == datetime(2026, 10, 25, 6, 0, tzinfo=UTC)
