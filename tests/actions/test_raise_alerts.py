"""Rules ask, alerts open and close, and nobody is told twice."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import Task

from llm_gateway.actions.events import events
from llm_gateway.actions.raise_alerts import ensure_rules, mark_seen, raise_alerts
from llm_gateway.core.ids import uuid7
from llm_gateway.models import Alert, AlertRule, AuditRun, LanguageModel, ProviderKey, RequestLog
from tests.analytics import factories

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def rule(event: str, **more: Any) -> AlertRule:
    return AlertRule.objects.create(event=event, name=event, **more)


def log(state: str, *, minutes: float = 1, **more: Any) -> RequestLog:
    at = NOW - timedelta(minutes=minutes)
    key = factories.client_key(uuid.uuid4().hex) if "client_key" not in more else more.pop("client_key")
    return RequestLog.objects.create(
        id=uuid7(int(at.timestamp() * 1000), uuid.uuid4().bytes[:10]), created_at=at, finished_at=at, state=state, kind="chat",
        dialect="openai_chat", team=key.team, client_key=key, **more,
    )  # fmt: skip


def texts() -> list[str]:
    return list(Alert.objects.filter(resolved_at=None).order_by("pk").values_list("text", flat=True))


def test_every_event_has_its_rule_once_and_a_deleted_one_stays_away() -> None:
    assert set(ensure_rules()) == set(events)
    assert {"budget_threshold", "budget_refusals", "key_invalid", "provider_failing", "error_rate", "latency", "spend_anomaly"} < set(
        events
    )
    AlertRule.objects.get(event="latency").delete()
    assert ensure_rules() == []
    assert set(AlertRule.objects.values_list("event", flat=True)) == set(events) - {"latency"}


def test_an_alert_begins_once_goes_on_ends_and_a_flapping_one_is_the_same() -> None:
    found = factories.catalogue()
    ProviderKey.objects.update(state="valid")
    key = found["keys"]["openai"]
    rule("key_invalid", pause_min=60)
    raise_alerts(NOW)
    assert not Alert.objects.exists()
    ProviderKey.objects.filter(pk=key.pk).update(state="invalid", reason="401")
    assert raise_alerts(NOW + timedelta(minutes=1)).begun == 1
    assert raise_alerts(NOW + timedelta(minutes=2)).going_on == 1
    assert raise_alerts(NOW + timedelta(minutes=2)).going_on == 0, "another cluster asked this minute"
    ProviderKey.objects.filter(pk=key.pk).update(state="valid")
    assert raise_alerts(NOW + timedelta(minutes=3)).ended == 1
    ProviderKey.objects.filter(pk=key.pk).update(state="invalid")
    assert raise_alerts(NOW + timedelta(minutes=10)).begun == 0
    alert = Alert.objects.get()
    assert (alert.times, alert.resolved_at, alert.about) == (2, None, f"key:{key.pk}")
    ProviderKey.objects.filter(pk=key.pk).update(state="valid")
    raise_alerts(NOW + timedelta(minutes=11))
    ProviderKey.objects.filter(pk=key.pk).update(state="invalid")
    assert raise_alerts(NOW + timedelta(hours=3)).begun == 1
    AlertRule.objects.update(enabled=False)
    raise_alerts(NOW + timedelta(hours=4))
    assert not Alert.objects.filter(resolved_at=None).exists(), "nobody asks any more"
    assert mark_seen([alert.pk], "ops") == 1
    assert mark_seen([alert.pk], "someone else") == 0


def test_one_rule_that_cannot_be_asked_stops_no_other() -> None:
    broken = rule("latency", settings={"p95_ms": "many"})
    rule("no_such_event")
    rule("spool_not_empty")
    wrong = {"code": "S1", "title": "no settlement waits", "broken": 2, "offenders": ["a.jsonl"]}
    AuditRun.objects.create(kind="watch", at=NOW, ok=False, rules=["S1"], findings=[wrong])
    assert raise_alerts(NOW).begun == 1
    broken.refresh_from_db()
    assert "whole number" in broken.error
    assert texts() == ["Broken: no settlement waits (a.jsonl)."]


def test_refusals_that_no_budget_alerts_for_are_told_with_who_and_how_many() -> None:
    rule("budget_refusals", settings={"requests": 3})
    key = factories.client_key("sample traffic")
    for _ in range(3):
        log("rejected", client_key=key, error_code="request_exceeds_budget", http_status=402)
    log("rejected", error_code="invalid_request", http_status=400)
    log("rejected", minutes=9, error_code="request_exceeds_budget", http_status=402)
    raise_alerts(NOW)
    assert texts() == ["A budget refused 3 requests of sample traffic (Platform) in the last 5 minutes."]


def test_a_provider_that_fails_now_is_told_whatever_its_day_was_like() -> None:
    rule("provider_failing")
    found = factories.catalogue()
    served = found["models"]["kimi-k3"]
    key = factories.client_key()
    for minutes in range(10, 40):
        factories.request(NOW - timedelta(minutes=minutes), key, served)
    raise_alerts(NOW)
    assert texts() == []
    for number in range(4):
        row = log("failed", client_key=key, minutes=number)
        row.attempts.create(
            number=1, provider_slug="fireworks", upstream_id="x", outcome="failed", error_class="server_error", started_at=row.created_at
        )
        mine = log("failed", client_key=key, minutes=number)
        mine.attempts.create(
            number=1, provider_slug="gemini", upstream_id="x", outcome="failed", error_class="bad_request", started_at=row.created_at
        )
    raise_alerts(NOW + timedelta(seconds=61))
    assert texts() == ["fireworks failed 4 of 4 attempts in the last 5 minutes."]


def test_error_rate_latency_and_spend_are_figures_an_operator_sets() -> None:
    rule("error_rate", settings={"percent": 20, "requests": 10})
    rule("latency", settings={"p95_ms": 900, "requests": 10})
    rule("spend_anomaly", settings={"times": 3, "usd": 1})
    for number in range(10):
        log("ok", latency_ms=100 * (number + 1), cost_nusd=2 * 10**8)
    log("rejected", cost_nusd=0)
    raise_alerts(NOW)
    assert texts() == [
        "One answer in twenty took 1.0 s or longer in the last 10 minutes.",
        "The last hour cost 2.00 USD; an hour of the day before cost 0.00 USD on average.",
    ]
    for _ in range(3):
        log("failed")
    raise_alerts(NOW + timedelta(seconds=61))
    assert "3 of 13 requests failed in the last 10 minutes." in texts()


def test_failed_jobs_and_retired_models_are_told() -> None:
    rule("task_failed")
    rule("retired_model_used")
    Task.objects.create(
        id="t", name="t", func="llm_gateway.tasks.purge", success=False, started=NOW, stopped=NOW - timedelta(minutes=2), result="no"
    )
    found = factories.catalogue()
    LanguageModel.objects.filter(name="kimi-k3").update(lifecycle="deprecated")
    log("ok", asked_model="kimi", model=found["models"]["kimi-k3"])
    log("ok", asked_model="old-name", decision={"stands_in_for": "old-name"})
    log("ok", asked_model="fine", decision={"order": []})
    raise_alerts(NOW)
    assert [text.partition(" failed")[0][:14] for text in texts()[:1]]
    told = "\n".join(texts())
    assert "The job purge failed 1 time" in told
    assert "“kimi” leads to a deprecated model" in told
    assert "“old-name” leads to" in told
    assert "“fine”" not in told
