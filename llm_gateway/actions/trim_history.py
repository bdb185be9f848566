"""Delete what nobody will ask for again, in small steps so that no request waits for it.

Request rows, attempts and ledger entries stay: they are what bills and budgets are proved by.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django_q.models import Failure, Success

from llm_gateway.models import AuditEntry, Heartbeat, IdempotencyRecord, Invitation, KeyCheck, RequestBody, StoredResponse, Team

from .purge import text_days
from .sign_in import forget_old_tries

CHUNK = 500
KEY_CHECKS_KEPT = timedelta(days=30)
FAILURES_KEPT = timedelta(days=7)
HEARTBEATS_KEPT = timedelta(days=2)
# After their link's end; the audit trail knows for longer who let whom in.
INVITATIONS_KEPT = timedelta(days=90)


class Trimmed(msgspec.Struct, frozen=True, kw_only=True):
    key_checks: int = 0
    bodies: int = 0
    heartbeats: int = 0
    sign_in_tries: int = 0
    audit_entries: int = 0
    invitations: int = 0


def trim_history(now: datetime | None = None) -> Trimmed:
    """Old key checks, texts beyond their team's retention, signs of life of workers long gone, tries to sign in, audit entries and
    invitations past their time. Idempotent."""
    now = now or timezone.now()
    return Trimmed(
        key_checks=_delete(KeyCheck.objects.filter(at__lt=now - KEY_CHECKS_KEPT)),
        bodies=sum(_delete(RequestBody.objects.filter(request__team=team, created_at__lt=edge)) for team, edge in _edges(now)),
        heartbeats=_delete(Heartbeat.objects.filter(Q(name__startswith="worker:") & Q(at__lt=now - HEARTBEATS_KEPT))),
        sign_in_tries=forget_old_tries(now),
        audit_entries=AuditEntry.objects.forget_before(now - timedelta(days=settings.COGO["audit_retention_days"])),
        invitations=_delete(Invitation.objects.filter(expires_at__lt=now - INVITATIONS_KEPT)),
    )


def purge_responses(now: datetime | None = None) -> int:
    """Stored responses past their time. How many were deleted."""
    return _delete(StoredResponse.objects.filter(expires_at__lte=now or timezone.now()))


def purge_idempotency(now: datetime | None = None) -> int:
    """Idempotency keys past their time. How many were deleted; what still runs stays."""
    now = now or timezone.now()
    return _delete(IdempotencyRecord.objects.filter(expires_at__lte=now).exclude(state="running", lease_until__gt=now))


def trim_task_failures(now: datetime | None = None) -> int:
    """django-q2 keeps failures for ever. How many were deleted."""
    edge = (now or timezone.now()) - FAILURES_KEPT
    return _delete(Failure.objects.filter(stopped__lt=edge)) + _delete(Success.objects.filter(stopped__lt=edge))


def _edges(now: datetime) -> list[tuple[Team, datetime]]:
    return [(team, now - timedelta(days=text_days(team))) for team in Team.objects.all()]


def _delete(rows: object) -> int:
    total = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]):  # type: ignore[attr-defined]
        total += rows.model._default_manager.filter(pk__in=ids).delete()[0]  # type: ignore[attr-defined]
    return total
