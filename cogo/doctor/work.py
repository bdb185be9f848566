"""What runs beside the requests: the gateway itself, background work, audits, alerts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from llm_gateway.actions.audit import UNHEARD
from llm_gateway.actions.watch import watch
from llm_gateway.models import Alert, AuditRun, Heartbeat
from llm_gateway.stores.leases import SIGN

from . import Diagnosis, count, examinations, fine, notice, problem

# The books are audited every night.
AUDITED_WITHIN = timedelta(hours=36)


@examinations("Processes")
def processes() -> Iterator[Diagnosis]:
    workers = Heartbeat.objects.filter(name__startswith=SIGN, at__gte=timezone.now() - UNHEARD).count()
    if workers:
        yield fine(f"{count(workers, 'web worker')} running.")
    else:
        yield notice("No web worker has been heard of in the last two minutes.", "Start the gateway: make run, or manage.py serve")
    for one in watch():
        if one.ok:
            continue
        shown = f": {'; '.join(one.offenders)}" if one.offenders else ""
        yield problem(f"It does not hold that {one.title}{shown}.", f"See {one.code} in docs/reliability.md and docs/troubleshooting.md.")


@examinations("Books")
def books() -> Iterator[Diagnosis]:
    last = AuditRun.objects.filter(kind=AuditRun.Kind.BOOKS).order_by("-at").first()
    if last is None or last.at < timezone.now() - AUDITED_WITHIN:
        when = f"last on {last.at:%Y-%m-%d %H:%M} UTC" if last else "never"
        yield notice(f"The books have not been audited lately ({when}).", "Run: manage.py audit --strict")
    elif not last.ok:
        codes = ", ".join(str(one["code"]) for one in last.findings if one.get("broken"))
        yield problem(f"The audit of {last.at:%Y-%m-%d %H:%M} UTC found broken invariants: {codes}.", "Run: manage.py audit --strict")
    else:
        yield fine(f"Every invariant held at the audit of {last.at:%Y-%m-%d %H:%M} UTC.")


@examinations("Alerts")
def alerts() -> Iterator[Diagnosis]:
    if not (settings.COGO["alert_email"] or settings.COGO["alert_webhook_url"]):
        yield notice("Nobody is told of alerts outside the console.", "Set COGO_ALERT_EMAIL or COGO_ALERT_WEBHOOK_URL.")
    undelivered = Alert.objects.filter(sent_at=None, created_at__lt=timezone.now() - timedelta(minutes=15)).count()
    if undelivered:
        yield problem(
            f"{count(undelivered, 'alert')} could not be delivered.", "Open Alerts in the console: each says what its channel answered."
        )
    else:
        yield fine("No alert waits for its delivery.")
