"""Bring the database's schedules to what the code says. Run at every start; a schedule that did not change keeps its next run."""

from __future__ import annotations

from datetime import datetime

import msgspec
from croniter import croniter
from django.db import transaction
from django.utils import timezone
from django_q.models import Schedule

PREFIX = "cogo:"


class Job(msgspec.Struct, frozen=True):
    """A task without arguments and when it runs (UTC)."""

    name: str
    func: str
    cron: str


JOBS = (
    Job("heartbeat", "llm_gateway.tasks.heartbeat", "* * * * *"),
    Job("check keys", "llm_gateway.tasks.check_keys", "*/5 * * * *"),
    Job("roll up", "analytics.tasks.roll_up", "*/5 * * * *"),
    Job("reap requests", "llm_gateway.tasks.reap_open_requests", "*/2 * * * *"),
    Job("events", "llm_gateway.tasks.raise_alerts", "* * * * *"),
    Job("alerts", "llm_gateway.tasks.send_alerts", "* * * * *"),
    Job("guard policies", "llm_gateway.tasks.guard_policies", "* * * * *"),
    Job("experiments", "llm_gateway.tasks.evaluate_experiments", "*/5 * * * *"),
    Job("learner", "llm_gateway.tasks.fit_learner", "*/5 * * * *"),
    Job("audit", "llm_gateway.tasks.audit", "47 2 * * *"),
    Job("watch", "llm_gateway.tasks.watch", "*/5 * * * *"),
    Job("purge", "llm_gateway.tasks.purge", "7 3 * * *"),
    Job("lifecycles", "llm_gateway.tasks.advance_lifecycles", "7 0 * * *"),
    Job("trim history", "llm_gateway.tasks.trim_history", "17 3 * * *"),
    Job("expired responses", "llm_gateway.tasks.purge_responses", "47 * * * *"),
    Job("expired answers", "llm_gateway.tasks.expire_answers", "57 * * * *"),
    Job("idempotency keys", "llm_gateway.tasks.purge_idempotency", "52 * * * *"),
    Job("old batches", "llm_gateway.tasks.purge_batches", "57 * * * *"),
    Job("task failures", "llm_gateway.tasks.trim_task_failures", "27 3 * * *"),
    Job("published prices", "llm_gateway.tasks.compare_prices", "37 4 * * 1"),
)


class ScheduleSync(msgspec.Struct, frozen=True, kw_only=True):
    """Names, without the prefix, of what was made, brought back to what the code says, and removed."""

    created: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@transaction.atomic
def sync_schedules(jobs: tuple[Job, ...] = JOBS, now: datetime | None = None) -> ScheduleSync:
    """Idempotent. Only rows with our prefix are touched; one that was edited is put right, so that a broken row cannot stop the rest
    (django-q2 runs all schedules in one transaction)."""
    now = now or timezone.now()
    present: dict[str, list[Schedule]] = {}
    for row in Schedule.objects.select_for_update().filter(name__startswith=PREFIX).order_by("pk"):
        present.setdefault(row.name, []).append(row)
    created, repaired = [], []
    for job in jobs:
        first, *others = present.pop(PREFIX + job.name, None) or [None]
        for other in others:
            other.delete()
        wanted = {
            "func": job.func,
            "schedule_type": Schedule.CRON,
            "cron": job.cron,
            "args": None,
            "kwargs": None,
            "hook": None,
            "minutes": None,
            "repeats": -1,
            "cluster": None,
            "intended_date_kwarg": None,
        }
        if first is None:
            # Not through save(), which computes a next run of its own from another clock.
            Schedule.objects.bulk_create([Schedule(name=PREFIX + job.name, next_run=_next(job.cron, now), **wanted)])
            created.append(job.name)
            continue
        wrong = {name: value for name, value in wanted.items() if (getattr(first, name) or None) != value}
        if "cron" in wrong or "schedule_type" in wrong or first.next_run is None:
            wrong["next_run"] = _next(job.cron, now)
        if wrong:
            Schedule.objects.filter(pk=first.pk).update(**wrong)
            repaired.append(job.name)
    for rows in present.values():
        for row in rows:
            row.delete()
    removed = tuple(sorted(name.removeprefix(PREFIX) for name in present))
    return ScheduleSync(created=tuple(created), repaired=tuple(repaired), removed=removed)


def broken_schedules() -> list[str]:
    """Names of rows, ours or not, whose arguments the scheduler could not read: one such row stops every schedule."""
    return [row.name or str(row.pk) for row in Schedule.objects.all() if not _readable(row.args)]


def _readable(args: str | None) -> bool:
    import ast

    try:
        ast.literal_eval(args or "()")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True


def _next(cron: str, now: datetime) -> datetime:
    found: datetime = croniter(cron, now).get_next(datetime)
    return found
