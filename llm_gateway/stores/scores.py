"""Scores of answers: the structure of each is looked at after its last byte, in the process that relayed it, and written in batches.

Nothing here can fail or delay a request. What is too much is not scored, and counted; what the database does not take is not kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Avg, Count

from llm_gateway.core.catalog import BodyLogging, Target
from llm_gateway.engine.calls import Call
from llm_gateway.engine.heavy import away
from llm_gateway.engine.ports import Rejection, Settlement
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.models import AnswerScore, QualityRule, ScoreJob
from llm_gateway.scorers import FORMULA, Facts, Probes, Quality, judge, scorers

from . import judging, vault
from .answered import Answered, answered_of, read
from .plain import short

log = logging.getLogger("cogo.scores")

# Reading an answer in full costs as much as relaying it, so a process in a rush looks at so many of them a second, evenly spread.
MOST_A_SECOND = 50
BURST_S = 1.0
MOST_WAITING = 2000
MOST_BYTES = 32 << 20
# Answers of so long a time are written in one statement.
GATHER_S = 0.25
MOST_ROWS = 400
MOST_JOBS = 5000
JOB_LIVES = timedelta(hours=1)
LOOK_FOR_EXPIRED_S = 60.0
ROUTES_FOR = timedelta(days=7)
KINDS = frozenset({"chat", "generate", "analyze"})
STRUCTURE = ("structure", "syntax")

Threaded = Callable[..., Awaitable[Any]]


class Rule(msgspec.Struct, frozen=True):
    """A team's, or everybody's. ``share``: percent of the answers that go to the score worker."""

    share: int = 0
    lint: bool = False
    complexity: bool = False

    @property
    def using(self) -> tuple[str, ...]:
        """The scorers that run on an answer of which the code is looked at."""
        return (*STRUCTURE, *(("lint", "security") if self.lint else ()), *(("complexity",) if self.complexity else ()))


class Waiting(msgspec.Struct, frozen=True):
    """An answer that is to be scored, or (with ``quality``) one that was."""

    answered: Answered
    quality: Quality | None = None


class ScoreBook:
    """Implements the engine's ``Observer`` port. ``threaded`` runs blocking database work; ``count`` hears of what was not scored for want
    of room: by what, and how many. Its own task does the rest."""

    def __init__(self, threaded: Threaded, count: Callable[[str, int], None] = lambda by, number: None) -> None:
        self._owner = TaskOwner()
        self._threaded = threaded
        self._count = count
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._stopped = False
        self._rules: dict[int | None, Rule] = {}
        self._judged: dict[int, int] = {}
        self._expired_at = 0.0
        self._next_at = 0.0
        self._passed = 0
        self.dropped = 0

    def rule(self, team_id: int) -> Rule:
        return self._rules.get(team_id) or self._rules.get(None) or Rule()

    def load_rules(self) -> None:
        """Blocking."""
        rows = QualityRule.objects.values_list("team_id", "share", "lint", "complexity")
        self._rules = {team: Rule(share, lint, complexity) for team, share, lint, complexity in rows}
        self._judged = judging.load_shares()

    # The port.

    def finished(self, settlement: Settlement) -> None:
        call = settlement.opened.call
        if (
            settlement.spoken is None
            or call.kind not in KINDS
            or call.origin not in judging.JUDGED_ORIGINS
            or settlement.state not in ("ok", "partial")
            or call.inbound.n > 1
        ):
            return
        if settlement.at < self._next_at:
            self._passed += 1
            return
        # Twice as much after a quiet moment, so that a few answers at once are all looked at.
        self._next_at = max(self._next_at, settlement.at - BURST_S) + 1 / MOST_A_SECOND
        if self._passed:
            self._count("rush", self._passed)
            self._passed = 0
        self._put(Waiting(answered_of(settlement)))

    def rejected(self, rejection: Rejection) -> None:
        return

    def scored(self, call: Call, target: Target | None, facts: Facts, quality: Quality) -> None:
        """Keep what was computed because the caller asked for it."""
        self._put(Waiting(Answered(call=call, target=target, at=time.time(), finish=facts.finish, cut=facts.cut, facts=facts), quality))

    # The task.

    def start(self) -> None:
        self._owner.start(self._run(), "score answers")

    async def stop(self) -> None:
        """Score and write what waits, for two seconds at most."""
        self._stopped = True
        self._wake.set()
        await self._owner.settle(2.0)
        await self._owner.close()

    async def _run(self) -> None:
        while not self._stopped or self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_FOR_EXPIRED_S)
            if not self._stopped:
                await asyncio.sleep(GATHER_S)
            self._wake.clear()
            await self._round()

    async def _round(self) -> None:
        rows: list[AnswerScore] = []
        jobs: list[tuple[Answered, str, Facts, tuple[str, ...]]] = []
        judged: list[tuple[Answered, str, Facts]] = []
        while self._waiting and len(rows) < MOST_ROWS:
            one = self._waiting.popleft()
            self._bytes -= one.answered.size
            try:
                if one.quality is not None:
                    rows.append(row_of(one.answered, one.answered.facts or Facts(), one.quality))
                else:
                    text, facts, quality = await away(one.answered.size, _structure, one.answered)
                    rows.append(row_of(one.answered, facts, quality))
                    if (using := self._wanted(one.answered, facts)) is not None:
                        jobs.append((one.answered, text, facts, using))
                    if judging.wanted(self._judged, one.answered.call, text, facts):
                        judged.append((one.answered, text, facts))
            except Exception as error:  # an answer that cannot be scored is nobody's fault
                self._drop(f"{type(error).__name__}")
            # Streams and other requests go on between two answers.
            await asyncio.sleep(0)
        if self._waiting:
            self._wake.set()
        due = time.monotonic() >= self._expired_at
        if not rows and not due:
            return
        try:
            overflow = await self._threaded(_write, rows, jobs, judged, due)
        except Exception as error:
            log.warning("scores were not kept", extra={"count": len(rows), "reason": f"{type(error).__name__}: {error}"[:200]})
            self.dropped += len(rows)
            return
        if due:
            self._expired_at = time.monotonic() + LOOK_FOR_EXPIRED_S
        if overflow:
            self._count("worker", overflow)

    def _wanted(self, answered: Answered, facts: Facts) -> tuple[str, ...] | None:
        """The scorers for the worker. Every text-less team keeps its texts to itself, and without code there is nothing to look at."""
        call = answered.call
        rule = self.rule(call.identity.team_id)
        if not rule.share or not facts.blocks or call.identity.bodies is BodyLogging.OFF:
            return None
        # By the random part of its id: no draw, and the same for whoever asks again.
        return rule.using if (call.id.int & 0xFFFF_FFFF) % 100 < rule.share else None

    def _put(self, waiting: Waiting) -> None:
        size = waiting.answered.size
        if self._stopped or len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            self._drop("full")
            return
        self._waiting.append(waiting)
        self._bytes += size
        self._wake.set()

    def _drop(self, why: str) -> None:
        self.dropped += 1
        self._count("structure", 1)
        if self.dropped & (self.dropped - 1) == 0:  # at 1, 2, 4, 8 …
            log.warning("an answer was not scored", extra={"so_far": self.dropped, "reason": why})


def _structure(answered: Answered) -> tuple[str, Facts, Quality]:
    text, facts = read(answered)
    return text, facts, judge(text, facts, Probes(), [scorers.get("structure")])


def row_of(answered: Answered, facts: Facts, quality: Quality) -> AnswerScore:
    call, target = answered.call, answered.target
    return AnswerScore(
        request_id=call.id,
        formula=quality.formula,
        created_at=datetime.fromtimestamp(answered.at, UTC),
        team_id=call.identity.team_id,
        model_id=target.model.id if target else None,
        provider_slug=target.provider.slug if target else "",
        simulated=bool(target and target.provider.simulated),
        language=_language(facts),
        task_type=short(call.task_type or "", 60).lower(),
        **columns_of(quality),
    )


def columns_of(quality: Quality) -> dict[str, Any]:
    return {
        "score": quality.score,
        "coded": any(one.name != "structure" and one.value is not None for one in quality.scorers),
        "scorers": list(msgspec.to_builtins(quality.without_words().scorers)),
    }


def _language(facts: Facts) -> str:
    """Asked for, else of the longest block."""
    known = [block for block in facts.blocks if block.language]
    return facts.asked or (max(known, key=lambda block: len(block.code)).language if known else "")


def place_of(job: ScoreJob) -> str:
    """What the ciphertext is bound to."""
    return place(job.request_id)


def place(request_id: UUID) -> str:
    return f"score_job:{request_id.hex}:ciphertext"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What a job holds, before it is encrypted."""

    text: str
    facts: Facts
    using: tuple[str, ...]


def _write(
    rows: list[AnswerScore], jobs: list[tuple[Answered, str, Facts, tuple[str, ...]]], judged: list[tuple[Answered, str, Facts]], due: bool
) -> int:
    """Returns how many jobs there was no room for."""
    now = datetime.now(UTC)
    room = max(0, MOST_JOBS - ScoreJob.objects.count()) if jobs else 0
    sealed = [_job(*job, now) for job in jobs[:room]]
    for_judge = [judging.sealed(answered, text, facts, _language(facts), now) for answered, text, facts in judged]
    plain = [row for row in rows if not row.coded]
    coded = [row for row in rows if row.coded]
    with transaction.atomic():
        if plain:
            AnswerScore.objects.bulk_create(plain, ignore_conflicts=True)
        if coded:
            save_coded(coded)
        if sealed:
            ScoreJob.objects.bulk_create(sealed, ignore_conflicts=True)
        unjudged = judging.write(for_judge, now) if for_judge else 0
    if due:
        ScoreJob.objects.filter(expires_at__lt=now).delete()
    return len(jobs) - len(sealed) + unjudged


def qualities(now: datetime) -> dict[int, tuple[float, int]]:
    """By model: the mean score, 0 to 1, of the answers of the last days whose code was looked at, and how many they are."""
    rows = AnswerScore.objects.filter(created_at__gte=now - ROUTES_FOR, coded=True, score__isnull=False, formula=FORMULA)
    means = rows.filter(model__isnull=False).values_list("model_id").annotate(Avg("score"), Count("pk")).order_by()
    return {model: (mean / 100, count) for model, mean, count in means}


def save_coded(rows: list[AnswerScore]) -> None:
    """What is known of the code takes the place of what was known of the structure alone."""
    AnswerScore.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["request_id", "formula"], update_fields=["score", "coded", "scorers", "language"]
    )


def _job(answered: Answered, text: str, facts: Facts, using: tuple[str, ...], now: datetime) -> ScoreJob:
    packed = msgspec.json.encode(Sealed(text=text, facts=facts, using=using)).decode()
    return ScoreJob(
        request_id=answered.call.id,
        created_at=now,
        expires_at=now + JOB_LIVES,
        team_id=answered.call.identity.team_id,
        ciphertext=vault.seal(packed, place=place(answered.call.id)),
    )


__all__ = ["Rule", "ScoreBook", "Sealed", "columns_of", "place_of", "qualities", "row_of", "save_coded"]
