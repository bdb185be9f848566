"""Look at the code of answers that were set aside for it: claim, open, score, write, delete."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import msgspec
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from llm_gateway.models import AnswerScore, ScoreJob
from llm_gateway.probes import Bench, BenchFailed, Task
from llm_gateway.scorers import Quality
from llm_gateway.stores import vault
from llm_gateway.stores.scores import Sealed, columns_of, place_of

log = logging.getLogger("cogo.scores")

# So many are claimed and written together: each transaction is one that requests do not wait behind.
TOGETHER = 16
# Longer than a child may take for all of them.
LEASE = timedelta(minutes=3)
MOST_TRIES = 2
_decoder = msgspec.json.Decoder(Sealed)


def score_waiting(bench: Bench, now: datetime | None = None) -> int:
    """The oldest jobs that nobody holds, at most :data:`TOGETHER`. How many there were. Raises what the database raises."""
    now = now or timezone.now()
    over = ScoreJob.objects.filter(Q(expires_at__lt=now) | Q(tries__gte=MOST_TRIES, lease_until__lt=now))
    if over.exists():
        over.delete()
    jobs = _claimed(now)
    made = [(job, _scored(bench, job)) for job in jobs]
    if jobs:
        with transaction.atomic():
            for job, quality in made:
                if quality is not None:
                    AnswerScore.objects.filter(request_id=job.request_id, formula=quality.formula).update(**columns_of(quality))
            # The texts go, whatever became of them.
            ScoreJob.objects.filter(pk__in=[job.pk for job in jobs]).delete()
    return len(jobs)


def _claimed(now: datetime) -> list[ScoreJob]:
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    seen = list(ScoreJob.objects.filter(free, tries__lt=MOST_TRIES).order_by("pk")[:TOGETHER])
    if not seen:
        return []
    with transaction.atomic():
        # Whoever changes a row first has it.
        return [
            job
            for job in seen
            if ScoreJob.objects.filter(free, pk=job.pk, tries=job.tries).update(lease_until=now + LEASE, tries=F("tries") + 1)
        ]


def _scored(bench: Bench, job: ScoreJob) -> Quality | None:
    """``None``: what is known of its structure stays."""
    try:
        sealed = _decoder.decode(vault.open_sealed(job.ciphertext, place=place_of(job)).reveal())
        return bench.score(Task(text=sealed.text, facts=sealed.facts, using=sealed.using))
    except (vault.VaultError, msgspec.DecodeError, BenchFailed) as error:
        log.warning("an answer could not be looked at", extra={"request_id": str(job.request_id), "reason": str(error)[:200]})
        return None
