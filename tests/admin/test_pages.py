"""Every page of every noun renders, with rows and without."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success, Task

from llm_gateway.actions.close_month import draw_up
from llm_gateway.models import (
    Alert,
    AlertDestination,
    AlertRule,
    AnswerScore,
    AuditRun,
    Batch,
    BatchLine,
    Budget,
    CachedAnswer,
    CacheRule,
    DeploymentHealth,
    Experiment,
    Feedback,
    Heartbeat,
    Invitation,
    Judgement,
    JudgeRule,
    LedgerEntry,
    QualityRule,
    RequestBody,
    Strategy,
    Team,
    trail,
)
from tests.analytics import factories

pytestmark = pytest.mark.django_db


def fill() -> None:
    found = factories.catalogue()
    key = factories.client_key()
    factories.traffic(days=2, per_day=8)
    now = timezone.now()
    budget = Budget.objects.create(name="all", limit_nusd=10**9, posted_nusd=5, held_nusd=3)
    LedgerEntry.objects.create(budget=budget, created_at=now, resolved_at=now, amount_nusd=-5, kind="adjustment", state="posted")
    Alert.objects.create(budget=budget, budget_name="<b>", kind="exhausted", threshold=100, limit_nusd=5, spent_nusd=5, created_at=now)
    rule = AlertRule.objects.create(event="error_rate", name="Error rate", settings={"percent": 5})
    rule.destinations.add(AlertDestination.objects.create(name="ops", kind="mail", addresses=["ops@example.test"]))
    event = {"kind": "event", "event": "error_rate", "about": "gateway", "text": "<i>", "threshold": 0, "limit_nusd": 0, "spent_nusd": 0}
    Alert.objects.create(rule=rule, budget_name="", created_at=now, last_at=now, **event)
    draw_up(Team.objects.earliest("pk"), "2026-05").save()
    DeploymentHealth.objects.create(provider_key=found["keys"]["openai"], upstream_id="x", state="open", since=now)
    Heartbeat.objects.create(name="tasks", at=now)
    wrong = {"code": "S2", "title": "no settlement was set aside", "looked_at": 1, "broken": 1, "offenders": ["1 in <spool>"], "note": ""}
    AuditRun.objects.create(kind="watch", at=now, took_ms=12, ok=False, rules=["S1", "S2"], findings=[wrong])
    Schedule.objects.create(func="llm_gateway.tasks.heartbeat", name="cogo:heartbeat", schedule_type="C", cron="* * * * *")
    OrmQ.objects.create(key="cogo", payload="x", lock=now)
    for number, good in enumerate((True, False)):
        times = {"started": now, "stopped": now + timedelta(seconds=1)}
        Task.objects.create(id=f"t{number}", name=f"task {number}", func="a.b", success=good, result="Trace\nValueError: no", **times)
    row = factories.request(now, key, found["models"]["kimi-k3"])
    RequestBody.objects.create(request=row, created_at=now)
    trail.record("did", budget, detail="Looked at.")
    User.objects.get_or_create(username="colleague")
    Experiment.objects.create(name="<b>", strategy=Strategy.objects.get(name="ab-testing"), unit="user", metric="success")
    Invitation.objects.create(name="New", email="new@example.com", role="viewer", digest=b"x", expires_at=now + timedelta(days=7))
    CacheRule.objects.create(switch="on")
    made = {"team": key.team, "client_key": key, "model_name": "<b>", "made_at": now, "expires_at": now + timedelta(days=1), "size": 5}
    CachedAnswer.objects.create(digest="0" * 64, request_id=row.pk, **made)
    batch = Batch.objects.create(
        id=UUID(int=7), team=key.team, client_key=key, dialect="openai", endpoint="/v1/chat/completions", title="<b>", state="completed",
        total=3, completed=2, failed=1, estimate_nusd=5, worst_nusd=9, cost_nusd=4, created_at=now, started_at=now, ended_at=now,
        ends_at=now, expires_at=now,
    )  # fmt: skip
    line = {"batch": batch, "kind": "chat", "offset": 0, "length": 9, "ended_at": now}
    BatchLine.objects.create(number=1, custom_id="<b>", state="failed", error_code="rate_limited", **line)
    QualityRule.objects.create(share=10, lint=True)
    JudgeRule.objects.create(team=key.team, share=5, model="<b>", client_key=key)
    Judgement.objects.create(
        request_id=row.pk, version=1, created_at=now, team=row.team, judge="<b>/m", state="judged", value=0.5, asked=4, differed=1,
        findings=[{"rule": "wrong", "message": "It is <b>.", "line": 3}], first=row.pk,
    )  # fmt: skip
    finding = {"rule": "syntax", "severity": "high", "message": "this cannot be read <b>", "line": 3, "block": 1}
    unknown = {"name": "gone", "version": 1, "value": None, "findings": []}
    scorers = [{"name": "syntax", "version": 1, "value": 0.0, "findings": [finding]}, unknown]
    AnswerScore.objects.create(request_id=row.pk, formula=1, created_at=now, team=row.team, score=40, coded=True, scorers=scorers)
    Feedback.objects.create(request_id=row.pk, client_key=key, score=-1, outcome="reverted", updated_at=now)


def name(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


MODELS = sorted(admin.site._registry, key=lambda m: m._meta.label)
IDS = [m._meta.label for m in MODELS]


def test_every_noun_has_a_page() -> None:
    labels = set(IDS)
    nouns = "Provider ProviderKey LanguageModel Alias Price Strategy StrategyActivation Team ClientKey Budget LedgerEntry RequestLog"
    assert {f"llm_gateway.{noun}" for noun in f"{nouns} DeploymentHealth KeyCheck Heartbeat".split()} <= labels
    assert {"auth.User", "auth.Group", "django_q.Schedule", "django_q.Success", "django_q.Failure", "django_q.OrmQ"} <= labels


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_lists_and_forms_render_while_there_is_nothing(boss: Client, model: type) -> None:
    assert boss.get(name(model, "changelist")).status_code == 200
    allowed = admin.site._registry[model].has_add_permission(_request(boss))
    assert boss.get(name(model, "add")).status_code == (200 if allowed else 403)


def test_lists_forms_and_history_render_with_rows(boss: Client) -> None:
    fill()
    for model in MODELS:
        assert boss.get(name(model, "changelist")).status_code == 200, model
        row = model._default_manager.first() if model not in (Success, Failure) else model._default_manager.get()
        assert row is not None, model
        for page in ("change", "history"):
            answer = boss.get(name(model, page, row.pk))
            assert answer.status_code == 200, (model, page)


def test_the_dashboard_renders_with_rows_and_without(boss: Client) -> None:
    set_up = MigrationRecorder.Migration.objects
    set_up.update(applied=timezone.now())
    empty = boss.get("/admin/").content.decode()
    assert "Add a provider key" in empty
    assert "The task cluster is silent" not in empty, "it has only just been set up"
    set_up.update(applied=timezone.now() - timedelta(minutes=6))
    assert "The task cluster is silent" in boss.get("/admin/").content.decode()
    fill()
    full = boss.get("/admin/").content.decode()
    assert "Cost this month" in full
    assert "The task cluster is silent" not in full
    assert "degraded" in full
    assert "Simulated:" not in full


def test_simulated_providers_are_announced(boss: Client) -> None:
    factories.provider("sim", "Simulator", simulated=True)
    assert "Simulated: answers are not from real models" in boss.get("/admin/").content.decode()


def test_an_empty_list_says_what_to_do(boss: Client) -> None:
    html = boss.get(name(_model("Provider"), "changelist")).content.decode()
    assert "paste its key on the same page" in html


def test_background_work_shows_no_pickle_and_no_form(boss: Client) -> None:
    fill()
    page = boss.get(name(Failure, "change", "t1")).content.decode()
    assert "ValueError: no" in page
    assert 'name="func"' not in page
    assert boss.post(name(Schedule, "add"), {"func": "os.system"}).status_code == 403


def _model(label: str) -> type:
    return next(m for m in MODELS if m._meta.object_name == label)


def _request(client: Client) -> object:
    from django.contrib.auth.models import User
    from django.test import RequestFactory

    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="boss")
    return request


HUGE = "99999999999999999999"


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_a_filter_by_a_number_that_no_column_holds_is_a_wrong_filter(boss: Client, model: type) -> None:
    fill()
    keys = [field.name for field in model._meta.fields if field.many_to_one]
    for query in (f"id__in={HUGE}", f"id__exact={HUGE}", *(f"{key}={HUGE}" for key in keys), *(f"{key}__id__exact={HUGE}" for key in keys)):
        answer = boss.get(f"{name(model, 'changelist')}?{query}", follow=True)
        assert answer.status_code in (200, 400), query
