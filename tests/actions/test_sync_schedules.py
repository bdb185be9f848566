from __future__ import annotations

import inspect
from datetime import UTC, datetime

import pytest
from django.utils.module_loading import import_string
from django_q.brokers.orm import ORM
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler

from llm_gateway.actions.sync_schedules import JOBS, Job, broken_schedules, sync_schedules

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, 3, tzinfo=UTC)
ONE = (Job("one", "llm_gateway.tasks.heartbeat", "*/5 * * * *"),)


def test_every_job_is_a_synchronous_task_that_takes_no_arguments() -> None:
    for job in JOBS:
        task = import_string(job.func)
        assert not inspect.iscoroutinefunction(task), job
        inspect.signature(task).bind()


def test_a_first_sync_makes_them_with_their_next_run() -> None:
    result = sync_schedules(ONE, NOW)
    row = Schedule.objects.get()
    assert result.created == ("one",)
    assert (row.name, row.schedule_type, row.next_run) == ("cogo:one", "C", datetime(2026, 11, 22, 12, 5, tzinfo=UTC))


def test_a_second_sync_leaves_the_next_run_alone() -> None:
    sync_schedules(ONE, NOW)
    waiting = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    Schedule.objects.update(next_run=waiting)
    result = sync_schedules(ONE, NOW)
    assert (result.created, result.repaired, result.removed) == ((), (), ())
    assert Schedule.objects.get().next_run == waiting


def test_a_changed_cron_recomputes_the_next_run() -> None:
    sync_schedules(ONE, NOW)
    assert sync_schedules((Job("one", ONE[0].func, "0 * * * *"),), NOW).repaired == ("one",)
    assert Schedule.objects.get().next_run == datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


def test_what_left_the_code_is_removed_and_what_is_not_ours_is_left_alone() -> None:
    sync_schedules(ONE, NOW)
    other = Schedule.objects.create(name="mine", func="x.y", schedule_type="D")
    assert sync_schedules((), NOW).removed == ("one",)
    assert list(Schedule.objects.all()) == [other]


@pytest.mark.parametrize(
    "damage", [{"args": "(((", "func": "os.system"}, {"repeats": 0}, {"kwargs": "x=1"}, {"hook": "os.system"}, {"next_run": None}]
)
def test_a_damaged_row_of_ours_is_put_right(damage: dict[str, object]) -> None:
    sync_schedules(ONE, NOW)
    Schedule.objects.update(**damage)
    assert sync_schedules(ONE, NOW).repaired == ("one",)
    row = Schedule.objects.get()
    assert (row.func, row.args, row.kwargs, row.hook, row.repeats) == (ONE[0].func, None, None, None, -1)
    assert row.next_run is not None


def test_duplicates_become_one() -> None:
    sync_schedules(ONE, NOW)
    Schedule.objects.create(name="cogo:one", func="x.y", schedule_type="C", cron="* * * * *")
    sync_schedules(ONE, NOW)
    assert Schedule.objects.count() == 1


def test_a_row_that_would_stop_every_schedule_is_named() -> None:
    Schedule.objects.create(name="bad", func="x.y", schedule_type="D", args="(((")
    assert broken_schedules() == ["bad"]


def test_the_scheduler_itself_reads_our_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_q.scheduler.close_old_django_connections", lambda: None)
    sync_schedules(JOBS, NOW)
    Schedule.objects.update(next_run=datetime(2026, 1, 1, tzinfo=UTC))
    scheduler(ORM())
    assert OrmQ.objects.count() == len(JOBS)
    assert not Schedule.objects.filter(next_run__lt=datetime.now(UTC)).exists()
