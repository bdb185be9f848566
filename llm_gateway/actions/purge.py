"""Retention: what is old goes, table by table and team by team, in steps so short that no request waits for them.

Rows are looked for without a lock and deleted in transactions of about :data:`STEP_S`. Ledger entries, rollups and closed statements are
never purged: they are what sums are proved by. Erasing a subject takes texts and identifiers away and leaves the figures.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from llm_gateway.core.catalog import SUBJECT_CHARS
from llm_gateway.core.outcomes import RequestState
from llm_gateway.models import (
    AnswerScore,
    Attempt,
    CachedAnswer,
    Feedback,
    IdempotencyRecord,
    JudgeJob,
    Judgement,
    LedgerEntry,
    RequestBody,
    RequestLog,
    ScoreJob,
    Statement,
    StoredResponse,
    Team,
)
from llm_gateway.policies.periods import period_bounds, period_id
from llm_gateway.stores import batch_results

from . import ActionError
from .close_month import close_month
from .purge_answers import forget_teams

log = logging.getLogger("cogo.purge")

# No lock is held for longer than 200 ms; steps aim at a fifth of it, for the machine may be busy.
STEP_S = 0.04
# Not below SMALLEST: on a server far away a step costs its round trips, however few rows it takes.
FIRST_CHUNK, SMALLEST, LARGEST = 100, 50, 400
READ = 5000
PAUSE_S = 0.005


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """Rows deleted, and the longest that one step held a lock."""

    bodies: int = 0
    requests: int = 0
    longest_ms: float = 0.0


def purge(now: datetime | None = None, *, team: Team | None = None, bodies_only: bool = False, days: int | None = None) -> Purged:
    """Delete what is older than each team's retention (``days`` instead, where given). ``bodies_only``: prompts and answers, not rows.

    A row stays while its month, or the month of a correction to it, is in no closed statement; months that are over are closed first."""
    now = now or timezone.now()
    steps = _Steps()
    bodies = requests = 0
    for one in [team] if team else Team.objects.order_by("pk"):
        edge = now - timedelta(days=days if days is not None else text_days(one))
        bodies += steps.run(RequestBody.objects.filter(request__team=one, created_at__lt=edge), _delete_bodies)
        steps.run(CachedAnswer.objects.filter(team=one, made_at__lt=edge), _delete_answers)
        if not bodies_only:
            edge = now - timedelta(days=days if days is not None else _days(one))
            old = RequestLog.objects.filter(~Q(state=RequestState.OPEN), team=one, created_at__lt=_accounted(one, edge, now))
            requests += steps.run(old.exclude(Exists(_corrections(one))), _delete_requests)
    return Purged(bodies=bodies, requests=requests, longest_ms=round(steps.longest_s * 1000, 1))


def erase_subject(subject: str, *, team: Team | None = None) -> int:
    """Take one person out of the log: texts, and answers kept for repeats and for ``/v1/responses``, deleted, metadata emptied, wherever
    ``metadata.user_id`` or ``metadata.user`` is ``subject``. Figures stay. Returns how many requests it touched.

    What the answer cache holds of the teams it touches goes as a whole: an answer may have been made for this person, whoever asked last.

    Not reached: backups, but for what the master key they were made under still opens (docs/money.md)."""
    if not subject:
        raise ValueError("whom to erase must be named")
    named = subject[:SUBJECT_CHARS]
    mine = RequestLog.objects.filter(~Q(state=RequestState.OPEN), Q(metadata__user_id=named) | Q(metadata__user=subject))
    theirs = mine.filter(team=team) if team is not None else mine
    teams = set(theirs.order_by().values_list("team_id", flat=True).distinct())
    count = _Steps().run(theirs, _erase)
    forget_teams(teams)
    return count


class _Steps:
    """Chunks in the order of the primary key, of a size that follows what they cost."""

    def __init__(self) -> None:
        self.size = FIRST_CHUNK
        self.done = 0
        self.longest_s = 0.0
        self._pause = threading.Event()

    def run(self, rows: QuerySet[Any], work: Callable[[Sequence[UUID]], object]) -> int:
        total = 0
        last: UUID | None = None
        while ids := list((rows if last is None else rows.filter(pk__gt=last)).order_by("pk").values_list("pk", flat=True)[:READ]):
            last = ids[-1]
            total += len(ids)
            while ids:
                self._step(ids[: self.size], work)
                del ids[: self.done]
        return total

    def _step(self, ids: Sequence[UUID], work: Callable[[Sequence[UUID]], object]) -> None:
        began = time.perf_counter()
        with transaction.atomic():
            locked = time.perf_counter()
            work(ids)
        ended = time.perf_counter()
        # On SQLite the lock is taken by BEGIN; waiting for it holds nobody up.
        self.longest_s = max(self.longest_s, ended - (locked if connection.vendor == "sqlite" else began))
        self.done = len(ids)
        wanted = self.size * STEP_S / max(ended - locked, 1e-4)
        self.size = int(min(LARGEST, max(SMALLEST, min(wanted, self.size * 2))))
        self._pause.wait(PAUSE_S)


def text_days(team: Team) -> int:
    """How long a team's prompts and answers stay; never longer than its requests."""
    own = team.text_retention_days
    return min(_days(team), own if own is not None else int(settings.COGO["text_retention_days"]))


def _days(team: Team) -> int:
    return team.retention_days if team.retention_days is not None else int(settings.COGO["retention_days"])


def _accounted(team: Team, edge: datetime, now: datetime) -> datetime:
    """The moment before which every row older than ``edge`` is in a closed statement."""
    moment = RequestLog.objects.filter(team=team, created_at__lt=edge).order_by("created_at").values_list("created_at", flat=True).first()
    closed = set(Statement.objects.filter(team=team).values_list("month", flat=True))
    while moment is not None and moment < edge:
        month = period_id("month", team.timezone, moment)
        start, end = period_bounds("month", team.timezone, moment)
        assert start is not None
        assert end is not None
        if month not in closed:
            try:
                close_month(team, month, now=now)
            except ActionError as error:
                log.info("requests stay until their month is closed", extra={"team": team.slug, "month": month, "reason": str(error)})
                return start
        moment = end
    return edge


def _corrections(team: Team) -> QuerySet[LedgerEntry]:
    """Of one request, those that no closed month has counted."""
    last = Statement.objects.filter(team=team).aggregate(last=Max("end"))["last"]
    found = LedgerEntry.objects.filter(request=OuterRef("pk"), kind=LedgerEntry.Kind.ADJUSTMENT)
    return found.filter(created_at__gte=last) if last else found


# Without Django's collector, which would read every row and its relations first.


def _delete_bodies(ids: Sequence[UUID]) -> None:
    RequestBody.objects.filter(pk__in=ids)._raw_delete(connection.alias)


def _delete_answers(ids: Sequence[Any]) -> None:
    CachedAnswer.objects.filter(pk__in=ids)._raw_delete(connection.alias)


def _delete_requests(ids: Sequence[UUID]) -> None:
    _delete_bodies(ids)
    Attempt.objects.filter(request_id__in=ids)._raw_delete(connection.alias)
    for scored in (AnswerScore, Feedback, ScoreJob, JudgeJob, Judgement):
        scored.objects.filter(request_id__in=ids)._raw_delete(connection.alias)
    RequestLog.objects.filter(pk__in=ids)._raw_delete(connection.alias)


def _erase(ids: Sequence[UUID]) -> None:
    _delete_bodies(ids)
    # The key stays taken: a repeat is told that its answer is not kept, and is not sent twice.
    IdempotencyRecord.objects.filter(request_id__in=ids, state="finished").update(state="unknown", headers=[], body="")
    for kept in (StoredResponse, ScoreJob, JudgeJob):
        kept.objects.filter(request_id__in=ids)._raw_delete(connection.alias)
    batch_results.erase(ids)
    # A provider's complaint may quote what it was sent.
    Attempt.objects.filter(request_id__in=ids).exclude(detail="").update(detail="")
    RequestLog.objects.filter(pk__in=ids).update(metadata={"erased": True}, user_id=None, end_user=None)
