"""What no row shows: settlements that wait in files, settlements that no database took, background work that stands still."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from llm_gateway.models import Heartbeat
from llm_gateway.stores.leases import SIGN
from llm_gateway.stores.spool import Spool

from .audit import SHOWN, UNHEARD, Finding
from .sync_schedules import PREFIX

# A settlement is written within seconds once the database takes writes; this audit reads that database.
SETTLED_WITHIN = timedelta(minutes=2)
# The cluster reports each minute; a job is due at its minute, and its turn comes within another.
SILENT = timedelta(minutes=5)
LATE = timedelta(minutes=10)
CLUSTER = "tasks"


def watch(now: datetime | None = None, spool: Path | None = None) -> list[Finding]:
    """Each rule with its figures, in a fixed order. ``spool``: this machine's folder; of others their workers tell."""
    now = now or timezone.now()
    folder = spool or Path(settings.VAR_DIR) / "spool"
    workers = list(Heartbeat.objects.filter(name__startswith=SIGN, at__gte=now - UNHEARD).order_by("name"))
    return [_spool(folder, now), _set_aside(folder, workers), _cluster(now), _jobs(now), _queue(now)]


def _spool(folder: Path, now: datetime) -> Finding:
    files = [path for suffix in ("jsonl", "replay") for path in sorted(folder.glob(f"*.{suffix}"))]
    old = [f"{path.name}, since {at:%Y-%m-%d %H:%M} UTC" for path in files if (at := _since(path)) and at < now - SETTLED_WITHIN]
    return _finding("S1", "no settlement waits in a file while the database takes writes", len(files), old)


def _set_aside(folder: Path, workers: Iterable[Heartbeat]) -> Finding:
    """Workers of one machine share a folder and tell the same number."""
    here = Spool(folder, "audit").counts()[1]
    found = [f"{here} in {folder}"] if here else []
    told = {worker.name: int(worker.detail.get("set_aside", 0)) for worker in workers if isinstance(worker.detail, dict)}
    if not here:
        found = [f"{count} told by {name.removeprefix(SIGN)}" for name, count in told.items() if count]
    return _finding("S2", "no settlement was set aside because no database took it whole", len(told), found)


def _cluster(now: datetime) -> Finding:
    beat = Heartbeat.objects.filter(name=CLUSTER).values_list("at", flat=True).first()
    # A gateway that was set up a moment ago has a cluster that is about to be heard of.
    since = beat or MigrationRecorder.Migration.objects.aggregate(last=Max("applied"))["last"]
    silent = since is None or since < now - SILENT
    said = f"last heard of at {beat:%Y-%m-%d %H:%M} UTC" if beat else "never heard of"
    return _finding("T1", "the task cluster gives signs of life", 1, [f"the task cluster was {said}"] if silent else [])


def _jobs(now: datetime) -> Finding:
    ours = Schedule.objects.filter(name__startswith=PREFIX)
    late = ours.filter(next_run__lt=now - LATE).order_by("next_run")
    shown = [f"{row.name.removeprefix(PREFIX)}, due since {row.next_run:%Y-%m-%d %H:%M} UTC" for row in late]
    return _finding("T2", "every scheduled job gets its turn", ours.count(), shown)


def _queue(now: datetime) -> Finding:
    """A task that nobody took. What runs is locked until its time is over."""
    waiting = OrmQ.objects.filter(lock__lt=now - LATE).order_by("lock")
    shown = [f"task {row.pk}, waiting since {row.lock:%Y-%m-%d %H:%M} UTC" for row in waiting[:SHOWN]]
    return _finding("T3", "every queued task is taken", OrmQ.objects.count(), shown, waiting.count())


def _since(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, tz=timezone.get_default_timezone())
    except FileNotFoundError:
        return None  # it was written a moment ago


def _finding(code: str, title: str, looked_at: int, offenders: list[str], broken: int | None = None) -> Finding:
    count = len(offenders) if broken is None else broken
    return Finding(code=code, title=title, looked_at=looked_at, broken=count, offenders=tuple(offenders[:SHOWN]))
