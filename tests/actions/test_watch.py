"""What no row of the books shows: files that wait, settlements set aside, background work that stands still."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from llm_gateway import tasks
from llm_gateway.actions.run_audit import KEPT, run_audit
from llm_gateway.actions.sync_schedules import JOBS, sync_schedules
from llm_gateway.actions.watch import watch
from llm_gateway.models import AuditRun, Budget, Heartbeat
from llm_gateway.stores.audits import newest
from llm_gateway.stores.plain import revived
from llm_gateway.stores.spool import Spool
from llm_gateway.telemetry import metrics

pytestmark = pytest.mark.django_db
NOW = timezone.now()

WAITING = revived({"id": "0" * 32, "row": {}, "attempts": [], "charge": 0, "prompt": None, "answer": None})


def found(spool: Path) -> list[str]:
    return [one.code for one in watch(NOW, spool) if not one.ok]


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    """All is well; the folder of the spool."""
    sync_schedules()
    Heartbeat.objects.create(name="tasks", at=NOW)
    folder = tmp_path / "spool"
    assert found(folder) == []
    return folder


def spooled(folder: Path, name: str, age: timedelta) -> None:
    Spool(folder, name).keep([WAITING])
    at = (NOW - age).timestamp()
    os.utime(folder / f"{name}.jsonl", (at, at))


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a settlement that waits for ever": ("S1", lambda folder: spooled(folder, "dead", timedelta(minutes=5))),
    "a settlement set aside here": ("S2", lambda folder: Spool(folder, "w").keep([WAITING], bad=True)),
    "a settlement set aside elsewhere": (
        "S2",
        lambda _: Heartbeat.objects.create(name="worker:other-1-a", at=NOW, detail={"set_aside": 2}),
    ),
    "a silent cluster": ("T1", lambda _: Heartbeat.objects.filter(name="tasks").update(at=NOW - timedelta(minutes=6))),
    "a cluster that never spoke": ("T1", lambda _: (Heartbeat.objects.all().delete(), long_ago())),
    "a job that never gets its turn": (
        "T2",
        lambda _: Schedule.objects.filter(name="cogo:purge").update(next_run=NOW - timedelta(hours=1)),
    ),
    "a task that nobody takes": ("T3", lambda _: OrmQ.objects.create(key="cogo", payload="x", lock=NOW - timedelta(hours=1))),
}


def long_ago() -> None:
    MigrationRecorder.Migration.objects.update(applied=NOW - timedelta(days=1))


@pytest.mark.parametrize("name", DAMAGE)
def test_each_thing_that_stands_still_is_found_by_its_own_rule(quiet: Path, name: str) -> None:
    code, damage = DAMAGE[name]
    damage(quiet)
    assert found(quiet) == [code]
    assert next(one for one in watch(NOW, quiet) if one.code == code).offenders


def test_what_was_spooled_a_moment_ago_is_no_finding(quiet: Path) -> None:
    spooled(quiet, "w", timedelta(seconds=10))
    assert found(quiet) == []


def test_a_worker_that_is_gone_is_not_asked_for_its_spool(quiet: Path) -> None:
    Heartbeat.objects.create(name="worker:gone-1-a", at=NOW - timedelta(hours=1), detail={"set_aside": 2})
    assert found(quiet) == []


def test_the_look_runs_each_five_minutes_and_all_books_each_night() -> None:
    crons = {job.func: job.cron for job in JOBS}
    assert crons["llm_gateway.tasks.watch"] == "*/5 * * * *"
    assert crons["llm_gateway.tasks.audit"] == "47 2 * * *"


def test_a_run_is_remembered_with_what_it_found_and_fails_its_task() -> None:
    Heartbeat.objects.create(name="tasks", at=timezone.now())
    Budget.objects.create(name="b", limit_nusd=10, posted_nusd=4, period_id="2026-11")
    with pytest.raises(RuntimeError, match="M2a"):
        tasks.audit()
    run = AuditRun.objects.get(kind="books")
    assert not run.ok
    assert run.took_ms >= 0
    assert {"M1", "M2a", "M4b", "L1e", "S1", "S2", "T1", "T2", "T3"} <= set(run.rules)
    assert [one["code"] for one in run.findings] == ["M2a"]
    assert "budget" in run.findings[0]["offenders"][0]


def test_a_note_fails_nothing_and_is_kept() -> None:
    Heartbeat.objects.create(name="tasks", at=timezone.now())
    budget = Budget.objects.create(name="b", limit_nusd=10)
    budget.limit_nusd = 0
    Budget.objects.filter(pk=budget.pk).update(hard=False, held_nusd=0)
    assert tasks.watch()["held"] >= 8
    assert AuditRun.objects.get(kind="watch").ok


def test_only_the_newest_runs_are_kept() -> None:
    AuditRun.objects.bulk_create(AuditRun(kind="watch", at=NOW, ok=True) for _ in range(KEPT + 20))
    AuditRun.objects.create(kind="books", at=NOW, ok=True)
    run_audit("watch")
    assert AuditRun.objects.filter(kind="watch").count() == KEPT
    assert AuditRun.objects.filter(kind="books").count() == 1


def test_the_metrics_tell_each_rule_and_the_age_of_each_run() -> None:
    wrong = {"code": "S2", "title": "t", "looked_at": 1, "broken": 3, "offenders": [], "note": ""}
    AuditRun.objects.create(kind="books", at=NOW - timedelta(hours=2), ok=False, rules=["M1", "S2"], findings=[wrong])
    AuditRun.objects.create(kind="watch", at=NOW, ok=True, rules=["L1a", "S2"], findings=[])
    audited = newest()
    assert audited.findings == {"M1": 0, "S2": 0, "L1a": 0}
    AuditRun.objects.create(kind="watch", at=NOW, ok=False, rules=["L1a", "S2"], findings=[wrong])
    metrics.note_audits(newest().findings, {"books": 7200.0, "watch": 1.0})
    text = metrics.exposition("").decode()
    assert 'cogo_audit_findings{rule="S2"} 3.0' in text
    assert 'cogo_audit_findings{rule="M1"} 0.0' in text
    assert 'cogo_audit_age_seconds{kind="books"} 7200.0' in text


def test_the_console_shows_what_the_newest_audit_found(admin_client: Client) -> None:
    wrong = {"code": "S2", "title": "no settlement was set aside", "looked_at": 1, "broken": 3, "offenders": ["3 in <x>"], "note": ""}
    AuditRun.objects.create(kind="watch", at=NOW, ok=False, rules=["S2"], findings=[wrong])
    home = admin_client.get("/admin/").content.decode()
    assert "The audit found something." in home
    page = admin_client.get("/admin/llm_gateway/auditrun/").content.decode()
    assert "S2 no settlement was set aside: 3 broken" in page
    assert "3 in &lt;x&gt;" in page
    AuditRun.objects.create(kind="watch", at=NOW, ok=True, rules=["S2"])
    assert "The audit found something." not in admin_client.get("/admin/").content.decode()
