"""The history of the demonstration: its books agree, the same number tells the same story, and every page has something to say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import Count, Sum

from analytics.models import DailyRollup
from analytics.rollups import roll_up
from cogo import demo
from llm_gateway.actions.audit import audit
from llm_gateway.actions.bootstrap import bootstrap
from llm_gateway.actions.register_simulated import register_simulated
from llm_gateway.actions.replay_policy import replayed, run_replay
from llm_gateway.models import Alert, AnswerScore, Attempt, Budget, Experiment, PolicyReplay, PolicyVersion, RequestLog

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)


@pytest.fixture
def started() -> None:
    bootstrap({})
    register_simulated({name: f"http://127.0.0.1:9/{name}" for name in ("fireworks", "anthropic", "openai", "gemini")})


def books() -> list[Any]:
    return [finding for finding in audit(NOW, strict=True) if not finding.ok]


@pytest.mark.slow
def test_thirty_days_of_books_agree_and_what_happened_is_to_be_seen(started: None) -> None:
    told = demo.seed(NOW)
    assert told is not None
    assert books() == []
    assert told.requests > 7000
    assert told.attempts == Attempt.objects.count()
    assert not RequestLog.objects.filter(simulated=False).exists()
    assert RequestLog.objects.order_by().values("created_at__date").distinct().count() >= 30
    first, last = (RequestLog.objects.filter(created_at__date=f"2026-{day}").count() for day in ("10-21", "11-17"))
    assert last > first * 1.3, "spend grows"
    failed = Attempt.objects.filter(outcome="failed").order_by().values("provider_slug", "error_class").annotate(n=Count("pk"))
    counts = {(row["provider_slug"], row["error_class"]): row["n"] for row in failed}
    assert counts["fireworks", "server_error"] >= 10, "the outage"
    assert counts["openai", "auth"] >= 3, "the key that went bad"
    assert RequestLog.objects.filter(attempt_count__gt=1, state="ok").exists(), "others took over"
    assert RequestLog.objects.filter(cache="hit", saved_nusd__gt=0).exists()
    assert RequestLog.objects.filter(refused_by__name="Hackathon", error_message__contains="used up").exists()
    assert AnswerScore.objects.count() == told.scores > 100
    assert Alert.objects.filter(sent_at=None).count() == 0, "nobody is told of what never happened"
    assert Alert.objects.filter(seen_at=None).exists()
    assert Budget.objects.filter(posted_nusd__gt=0).count() == 4

    roll_up(NOW)
    run_replay(told.replay)
    sums = DailyRollup.objects.aggregate(n=Sum("requests"), cost=Sum("cost_nusd"), tried=Sum("attempts"))
    assert sums == RequestLog.objects.aggregate(n=Count("pk"), cost=Sum("cost_nusd"), tried=Sum("attempt_count"))
    trial = Experiment.objects.get()
    assert (trial.state, trial.verdict) == ("running", "better"), trial.sentence
    replay = PolicyReplay.objects.get()
    assert replay.state == "done"
    assert replay.report is not None
    assert replay.report["replayed"] == 1000
    assert replay.report["estimates"], replay.report["why"]
    again = replayed(PolicyVersion.objects.get(number=trial.version), last=400)
    assert (again["checked"]["rows"], again["checked"]["differing"]) == (400, 0), "the same strategies decided"
    assert books() == []


def test_the_same_number_tells_the_same_story_and_only_once(started: None) -> None:
    stories = []
    for number in (7, 7, 8):
        with transaction.atomic():
            _number_rows_from_where_they_are()
            demo.seed(NOW, days=2, number=number)
            assert demo.seed(NOW, days=2, number=99) is None
            stories.append(_story())
            assert books() == []
            transaction.set_rollback(True)
    assert stories[0] == stories[1] != stories[2]
    assert len(stories[0]) > 200


def _number_rows_from_where_they_are() -> None:
    """PostgreSQL's sequences do not roll back, and callers are dealt by what they are numbered."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), apps.get_models()):
            cursor.execute(statement)


def _story() -> list[Any]:
    columns = ("created_at", "state", "provider_slug", "model__name", "cost_nusd", "latency_ms", "strategy", "cache")
    return list(RequestLog.objects.order_by("id").values_list(*columns))
