"""Replay a policy version over the log: what would have gone where, and what can be said of the result."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncHour
from django.utils import timezone

from llm_gateway.core.catalog import Snapshot
from llm_gateway.core.outcomes import RequestState
from llm_gateway.models import CatalogueVersion, PolicyEvent, PolicyReplay, PolicyVersion, RequestLog
from llm_gateway.models.versions import ALIAS, happened
from llm_gateway.stores.contexts import WINDOW
from llm_gateway.strategies import strategies

from . import ActionError
from ._replay_report import Report
from ._replaying import CHUNK, Scenes

log = logging.getLogger("cogo.policies")
LAST = 10_000
MOST = 50_000
# A replay that has run for this long was killed.
LOST = timedelta(minutes=30)


def start_replay(
    version: PolicyVersion, *, since: datetime | None = None, until: datetime | None = None, last: int | None = None, user: Any = None
) -> PolicyReplay:
    """A queued replay; :func:`run_replay` does it. ``last``: the newest so many rows, or with a window so many of it, spread over keys
    and hours. Raises :class:`ActionError`."""
    if version.kind == ALIAS:
        raise ActionError("A fallback list is tried in its order, so there is nothing to replay.")
    if last is not None and not 1 <= last <= MOST:
        raise ActionError(f"last has to be a whole number from 1 to {MOST}.")
    if since is not None and until is not None and since >= until:
        raise ActionError("from has to be before to.")
    if version.kind not in strategies:
        raise ActionError(f"There is no kind of strategy named {version.kind}.")
    by = user if getattr(user, "pk", None) else None
    return PolicyReplay.objects.create(version=version, since=since, until=until, last=last or LAST, by=by)


def run_replay(replay_id: int) -> PolicyReplay:
    """Once: a second run of the same finds it taken. What goes wrong is in ``error``."""
    states = PolicyReplay.State
    now = timezone.now()
    PolicyReplay.objects.filter(state=states.RUNNING, started_at__lt=now - LOST).update(
        state=states.FAILED, error="It was interrupted; start it again.", finished_at=now
    )
    taken = PolicyReplay.objects.filter(pk=replay_id, state=states.QUEUED).update(state=states.RUNNING, started_at=now)
    replay = PolicyReplay.objects.select_related("version").get(pk=replay_id)
    if not taken:
        return replay
    try:
        report = replayed(replay.version, since=replay.since, until=replay.until, last=replay.last)
    except Exception as error:
        log.exception("a replay failed", extra={"replay": replay_id})
        PolicyReplay.objects.filter(pk=replay_id).update(
            state=states.FAILED, error=f"{type(error).__name__}: it is in the log."[:300], finished_at=timezone.now()
        )
        replay.refresh_from_db()
        return replay
    PolicyReplay.objects.filter(pk=replay_id, state=states.RUNNING).update(
        state=states.DONE, report=report, finished_at=timezone.now(), catalogue=CatalogueVersion.current()
    )
    if PolicyVersion.objects.filter(pk=replay.version_id, state=PolicyVersion.State.DRAFT).update(state=PolicyVersion.State.REPLAYED):
        happened(replay.version, PolicyEvent.Kind.REPLAYED, replay.by, "", f"{report['replayed']} requests")
    replay.refresh_from_db()
    return replay


def replayed(
    version: PolicyVersion, *, since: datetime | None = None, until: datetime | None = None, last: int = LAST, today: Snapshot | None = None
) -> dict[str, Any]:
    """The report. ``today``: with the candidates of this catalogue instead of those of then."""
    report = Report()
    settings = version.settings
    scenes = Scenes(today)
    for rows in _rows(since, until, last):
        for _, scene in scenes.all(rows):
            if isinstance(scene, str):
                report.skipped(scene)
                continue
            report.add(scene, scene.ranked(version.kind, settings), version.number)
    built = report.build()
    built["older_than_window"] = _too_old(since)
    return built


def _rows(since: datetime | None, until: datetime | None, last: int) -> list[QuerySet[RequestLog]]:
    logged = RequestLog.objects.exclude(choice=None).exclude(state=RequestState.OPEN)
    if since is None and until is None:
        ids = list(logged.order_by("-id").values_list("pk", flat=True)[:last])
    else:
        if since is not None:
            logged = logged.filter(created_at__gte=since)
        if until is not None:
            logged = logged.filter(created_at__lt=until)
        ids = _spread(logged, last)
    ids.sort()
    return [RequestLog.objects.filter(pk__in=ids[start : start + CHUNK]).order_by("id") for start in range(0, len(ids), CHUNK)]


def _spread(rows: QuerySet[RequestLog], last: int) -> list[UUID]:
    """``last`` of ``rows``, of each key and hour the share that it has in all of them, at least one."""
    strata = {
        (key, hour): count
        for key, hour, count in rows.annotate(hour=TruncHour("created_at"))
        .order_by()
        .values_list("client_key_id", "hour")
        .annotate(count=Count("pk"))
    }
    total = sum(strata.values())
    if total <= last:
        return list(rows.order_by("id").values_list("pk", flat=True))
    step = {place: count / max(1, round(count * last / total)) for place, count in strata.items()}
    passed: dict[Any, float] = dict.fromkeys(step, 0.0)
    found: list[UUID] = []
    for pk, key, hour in rows.annotate(hour=TruncHour("created_at")).order_by("id").values_list("pk", "client_key_id", "hour").iterator():
        place = (key, hour)
        passed[place] = passed.get(place, 0.0) + 1
        if passed[place] >= step.get(place, 1.0):
            passed[place] -= step.get(place, 1.0)
            found.append(pk)
            if len(found) >= MOST:
                break
    return found


def _too_old(since: datetime | None) -> bool:
    return since is not None and since < timezone.now() - WINDOW
