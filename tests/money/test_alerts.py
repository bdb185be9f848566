"""Alerts reach people: once per channel, signed, and never a private address by accident."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.utils import timezone

from llm_gateway.actions.send_alerts import MAX_TRIES, send_alerts
from llm_gateway.models import Alert, Budget, Team

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    options = {
        "mail": True, "alert_email": "ops@example.test", "alert_webhook_url": "https://hooks.example.test/x",
        "alert_webhook_secret": "not-a-secret", "alert_webhook_private": False,
    }  # fmt: skip
    for name, value in options.items():
        monkeypatch.setitem(django_settings.COGO, name, value)
    return django_settings.COGO


@pytest.fixture
def alert() -> Alert:
    team = Team.objects.create(name="T", slug="t", alert_email="team@example.test")
    budget = Budget.objects.create(name="b\nc", team=team, limit_nusd=10**9)
    return Alert.objects.create(
        budget=budget, budget_name=budget.name, period_id="2026-11", kind="threshold", threshold=80, limit_nusd=10**9,
        spent_nusd=8 * 10**8, created_at=NOW,
    )  # fmt: skip


class Hook:
    def __init__(self, *statuses: int | Exception) -> None:
        self.statuses = list(statuses)
        self.calls: list[tuple[str, bytes, dict[str, str]]] = []

    async def __call__(self, url: str, body: bytes, headers: dict[str, str], private: bool) -> int:
        self.calls.append((url, body, headers))
        status = self.statuses.pop(0) if self.statuses else 200
        if isinstance(status, Exception):
            raise status
        return status


def test_an_alert_is_mailed_and_posted_once(configured: Any, alert: Alert) -> None:
    hook = Hook()
    assert send_alerts(NOW, hook).sent == 1
    assert send_alerts(NOW + timedelta(days=1), hook).sent == 0
    (message,) = mail.outbox
    assert message.to == ["team@example.test", "ops@example.test"]
    assert "has reached 80 % of its limit: 0.80 of 1.00 USD" in message.body
    assert "\n" not in message.subject
    ((url, body, headers),) = hook.calls
    assert url == "https://hooks.example.test/x"
    stamp, sign = (part.partition("=")[2] for part in headers["x-cogo-signature"].split(","))
    assert hmac.compare_digest(sign, hmac.new(b"not-a-secret", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest())
    assert json.loads(body)["spent_usd"] == "0.80"
    alert.refresh_from_db()
    assert alert.delivered == ["email", "webhook"]
    assert alert.sent_at is not None


def test_several_people_are_mailed(configured: Any, alert: Alert, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(configured, "alert_email", "ops@example.test, cfo@example.test")
    assert send_alerts(NOW, Hook()).sent == 1
    assert mail.outbox[0].recipients() == ["team@example.test", "ops@example.test", "cfo@example.test"]


def test_a_sink_that_is_down_is_tried_again_without_mailing_twice(configured: Any, alert: Alert) -> None:
    hook = Hook(500, OSError("refused"), 204)
    assert send_alerts(NOW, hook).waiting == 1
    assert send_alerts(NOW, hook).waiting == 0, "not before its time"
    assert send_alerts(NOW + timedelta(minutes=2), hook).waiting == 1
    assert send_alerts(NOW + timedelta(hours=2), hook).sent == 1
    assert len(mail.outbox) == 1
    assert len(hook.calls) == 3
    assert len({len(body) for _, body, _ in hook.calls}) == 1


def test_in_the_end_it_gives_up_and_says_why(configured: Any, alert: Alert) -> None:
    hook = Hook(*[500] * 50)
    results = [send_alerts(NOW + timedelta(hours=2 * n), hook) for n in range(MAX_TRIES + 3)]
    assert sum(r.given_up for r in results) == 1
    assert len(hook.calls) == MAX_TRIES
    alert.refresh_from_db()
    assert "500" in alert.error


def test_two_clusters_send_it_once(configured: Any, alert: Alert) -> None:
    hook = Hook()
    late = Alert.objects.get(pk=alert.pk)
    send_alerts(NOW, hook)
    assert not Alert.objects.filter(pk=late.pk, tries=late.tries).exists()
    send_alerts(NOW, hook)
    assert len(hook.calls) == 1


@pytest.mark.parametrize(("name", "value"), [("alert_webhook_secret", ""), ("alert_webhook_url", "")])
def test_without_a_secret_no_webhook_is_called(configured: Any, alert: Alert, monkeypatch: Any, name: str, value: str) -> None:
    monkeypatch.setitem(configured, name, value)
    hook = Hook()
    assert send_alerts(NOW, hook).sent == 1
    assert hook.calls == []


def test_plain_http_and_private_addresses_are_refused(configured: Any, alert: Alert, monkeypatch: Any) -> None:
    monkeypatch.setitem(configured, "alert_webhook_url", "http://127.0.0.1:9/")
    assert send_alerts(NOW).waiting == 1
    alert.refresh_from_db()
    assert "https" in alert.error
    monkeypatch.setitem(configured, "alert_webhook_url", "https://127.0.0.1:9/")
    assert send_alerts(NOW + timedelta(hours=1)).waiting == 1
    alert.refresh_from_db()
    assert "AttemptFailed" in alert.error
    assert "refused" not in alert.error, "it was never connected to"


def test_nobody_configured_means_the_console_only(alert: Alert) -> None:
    assert send_alerts(NOW).sent == 1
    assert mail.outbox == []
