"""The newest audit of each kind, as the metrics tell it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from llm_gateway.models import AuditRun


class Audited(msgspec.Struct, frozen=True):
    """``findings``: broken rows by rule. ``ran``: when each kind ran last."""

    findings: dict[str, int] = {}
    ran: dict[str, datetime] = {}


def newest() -> Audited:
    """A rule that several kinds try is as its newest run saw it. Raises ``django.db.Error``."""
    runs = [run for kind in AuditRun.Kind.values if (run := AuditRun.objects.filter(kind=kind).order_by("-pk").first())]
    findings: dict[str, int] = {}
    for run in sorted(runs, key=lambda one: one.pk):
        findings |= dict.fromkeys(run.rules, 0) | {one["code"]: one["broken"] for one in run.findings}
    return Audited(findings, {run.kind: run.at for run in runs})
