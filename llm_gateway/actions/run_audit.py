"""Audit and remember the result, for the console, the metrics and whoever asks later."""

from __future__ import annotations

import logging
import time

import msgspec
from django.utils import timezone

from llm_gateway.models import AuditRun

from .audit import Finding, audit
from .watch import watch

log = logging.getLogger("cogo.audit")
KEPT = 100


def run_audit(kind: str) -> AuditRun:
    """``books``: every invariant of money and log, which reads all rows. ``watch``: what is open, waits or stands still; cheap."""
    now = timezone.now()
    began = time.monotonic()
    findings = [*audit(now, strict=True), *watch(now)] if kind == AuditRun.Kind.BOOKS else [*audit(now, open_only=True), *watch(now)]
    broken = [one for one in findings if not one.ok]
    row = AuditRun.objects.create(
        kind=kind,
        at=now,
        took_ms=round((time.monotonic() - began) * 1000),
        ok=not broken,
        rules=[one.code for one in findings],
        findings=[_shown(one) for one in findings if not one.ok or one.note],
    )
    if broken:
        log.critical("the audit found something", extra={"kind": kind, "broken": [f"{one.code}: {one.title}" for one in broken]})
    old = AuditRun.objects.filter(kind=kind).order_by("-pk").values_list("pk", flat=True)[KEPT : KEPT + 1].first()
    if old is not None:
        AuditRun.objects.filter(kind=kind, pk__lte=old).delete()
    return row


def _shown(one: Finding) -> dict[str, object]:
    return dict(msgspec.to_builtins(msgspec.structs.replace(one, offenders=tuple(text[:300] for text in one.offenders))))
