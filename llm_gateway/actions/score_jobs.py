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
from llm_gateway.stores import vault
from llm_gateway.stores.scores import Sealed, columns_of, place_of

log = logging.getLogger("cogo.scores")

# Longer than a child may take for one answer, with its start.
LEASE = timedelta(seconds=60)
MOST_TRIES = 2
_decoder = msgspec.json.Decoder(Sealed)


def score_next(bench: Bench, now: datetime | None = None) -> bool:
    """One job, the oldest that nobody holds. ``False``: there is none. Raises what the database raises."""
    now = now or timezone.now()
    ScoreJob.objects.filter(Q(expires_at__lt=now) | Q(tries__gte=MOST_TRIES, lease_until__lt=now)).delete()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    for job in ScoreJob.objects.filter(free, tries__lt=MOST_TRIES).order_by("pk")[:8]:
        # Whoever changes the row first has it.
        mine = ScoreJob.objects.filter(free, pk=job.pk, tries=job.tries).update(lease_until=now + LEASE, tries=F("tries") + 1)
        if mine:
            _score(bench, job)
            return True
    return False


def _score(bench: Bench, job: ScoreJob) -> None:
    """The text goes with the job, whatever becomes of it; a score that cannot be made leaves what is known of the structure."""
    try:
        sealed = _decoder.decode(vault.open_sealed(job.ciphertext, place=place_of(job)).reveal())
        made = bench.score(Task(text=sealed.text, facts=sealed.facts, using=sealed.using))
    except (vault.VaultError, msgspec.DecodeError, BenchFailed) as error:
        log.warning("an answer could not be looked at", extra={"request_id": str(job.request_id), "reason": str(error)[:200]})
        job.delete()
        return
    with transaction.atomic():
        AnswerScore.objects.filter(request_id=job.request_id, formula=made.formula).update(**columns_of(made))
        job.delete()
