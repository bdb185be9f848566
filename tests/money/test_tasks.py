"""The money's background jobs (T14): run twice, at once, or after a crash, they do their work once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from llm_gateway import tasks
from llm_gateway.actions.sync_schedules import JOBS
from llm_gateway.models import Budget, Heartbeat, RequestLog, Team

pytestmark = pytest.mark.django_db


def test_every_money_job_is_scheduled() -> None:
    assert {"alerts", "audit", "purge", "reap requests"} <= {job.name for job in JOBS}


def test_a_job_that_is_delivered_twice_runs_once() -> None:
    Heartbeat.objects.create(name="tasks", at=timezone.now())
    for job in (tasks.purge, tasks.audit):
        assert job() != tasks.SKIPPED
        assert job() == tasks.SKIPPED


def test_a_job_runs_again_in_its_next_turn() -> None:
    tasks.purge()
    Heartbeat.objects.filter(name="job:purge").update(at=timezone.now() - timedelta(hours=23))
    assert tasks.purge() == {"bodies": 0, "requests": 0, "longest_ms": 0.0}


def test_the_nightly_audit_fails_loudly_when_the_books_do_not_balance() -> None:
    Budget.objects.create(name="b", limit_nusd=10, posted_nusd=4, period_id="2026-11")
    with pytest.raises(RuntimeError, match="M2a"):
        tasks.audit()


def test_reaping_twice_orphans_once() -> None:
    past = timezone.now() - timedelta(hours=1)
    team = Team.objects.create(name="T", slug="t")
    RequestLog.objects.create(
        id="00000000-0000-7000-8000-000000000001", created_at=past, state="open", kind="chat", dialect="x", team=team, lease_until=past
    )
    assert [tasks.reap_open_requests()["orphaned"] for _ in range(2)] == [1, 0]
