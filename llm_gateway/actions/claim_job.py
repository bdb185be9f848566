"""One leader per run of a scheduled job, in any number of clusters: whoever moves the job's heartbeat row first."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from llm_gateway.models import Heartbeat


def claim_job(name: str, every: timedelta, now: datetime | None = None) -> bool:
    """Whether this process is to do it. ``every``: how often it runs; a second claim within half of that is a duplicate."""
    now = now or timezone.now()
    row = f"job:{name}"
    if Heartbeat.objects.filter(name=row, at__lte=now - every / 2).update(at=now):
        return True
    if Heartbeat.objects.filter(name=row).exists():
        return False
    try:
        with transaction.atomic():
            Heartbeat.objects.create(name=row, at=now)
    except IntegrityError:
        return False
    return True
