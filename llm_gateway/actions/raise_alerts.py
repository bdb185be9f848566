"""Ask every rule whether its event is so now: open an alert when it begins, close it when it ends. Delivery is :mod:`.send_alerts`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from django.db import DatabaseError, transaction
from django.db.models import F, Q
from django.utils import timezone

from llm_gateway.core.redact import redact
from llm_gateway.models import Alert, AlertRule

from ._memory import recall, remember
from .events import events
from .events._base import Happening

log = logging.getLogger("cogo.alerts")

MEMORY = "alert rules"
# Of one rule at one look: what fails by the hundred is one trouble.
MOST = 100


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    begun: int = 0
    going_on: int = 0
    ended: int = 0


def ensure_rules() -> list[str]:
    """One rule per event the first time it is known, with its defaults; a rule that was deleted stays away. Names of what was made."""
    memory = recall(MEMORY)
    known = set(memory.get("events", ()))
    made = []
    for name, event in events.items():
        if name not in known and not AlertRule.objects.filter(Q(event=name) | Q(name=event.title)).exists():
            AlertRule.objects.create(event=name, name=event.title, urgent=event.urgent)
            made.append(name)
    if set(events) - known:
        remember(MEMORY, {"events": sorted(set(events) | known)})
    return made


def raise_alerts(now: datetime | None = None) -> Raised:
    """Each rule by itself: one that cannot be answered says so in its row and stops no other."""
    now = now or timezone.now()
    total = {"begun": 0, "going_on": 0, "ended": 0}
    for rule in AlertRule.objects.filter(enabled=True):
        if rule.event not in events or (event := events.get(rule.event)).look is None:
            continue
        # A claim by conditional UPDATE: two clusters ask once, and half a period's grace keeps a late minute from being left out.
        due = Q(looked_at=None) | Q(looked_at__lte=now - event.every + timedelta(seconds=30))
        if not AlertRule.objects.filter(due, pk=rule.pk, enabled=True).update(looked_at=now):
            continue
        try:
            happening = list(event.look(event.settled(rule.settings), now))[:MOST]
        except (ValueError, TypeError, DatabaseError) as error:
            said = redact(f"{type(error).__name__}: {error}", limit=200)
            AlertRule.objects.filter(pk=rule.pk).update(error=said)
            log.warning("an alert rule cannot be answered", extra={"rule": rule.name, "reason": said})
            continue
        if rule.error:
            AlertRule.objects.filter(pk=rule.pk).update(error="")
        for name, count in _write(rule, happening, now).items():
            total[name] += count
    _end_orphans(now)
    return Raised(**total)


def _write(rule: AlertRule, happening: Sequence[Happening], now: datetime) -> dict[str, int]:
    counts = {"begun": 0, "going_on": 0, "ended": 0}
    with transaction.atomic():
        open_ones = {row.about: row for row in Alert.objects.filter(rule=rule, kind=Alert.Kind.EVENT, resolved_at=None)}
        now_so = {one.about[:120]: one for one in happening}
        for about, one in now_so.items():
            if about in open_ones:
                Alert.objects.filter(pk=open_ones[about].pk).update(text=one.text[:500], last_at=now)
                counts["going_on"] += 1
            elif _again(rule, about, one, now):
                counts["going_on"] += 1
            else:
                new = Alert(
                    rule=rule, event=rule.event, kind=Alert.Kind.EVENT, about=about, text=one.text[:500], budget_name="", threshold=0,
                    limit_nusd=0, spent_nusd=0, created_at=now, last_at=now,
                )  # fmt: skip
                Alert.objects.bulk_create([new], ignore_conflicts=True)
                counts["begun"] += 1
        over = [row.pk for about, row in open_ones.items() if about not in now_so]
        counts["ended"] = Alert.objects.filter(pk__in=over, resolved_at=None).update(resolved_at=now)
    return counts


def _again(rule: AlertRule, about: str, one: Happening, now: datetime) -> bool:
    """What ended a moment ago and begins again is the same alert: it is opened again and nobody is told twice."""
    lately = Alert.objects.filter(
        rule=rule, kind=Alert.Kind.EVENT, about=about, resolved_at__gt=now - timedelta(minutes=rule.pause_min)
    ).first()
    if lately is None:
        return False
    Alert.objects.filter(pk=lately.pk).update(resolved_at=None, text=one.text[:500], last_at=now, times=F("times") + 1)
    return True


def _end_orphans(now: datetime) -> None:
    """Nobody asks any more whether the events of a rule that was switched off or deleted go on."""
    Alert.objects.filter(Q(rule=None) | Q(rule__enabled=False), kind=Alert.Kind.EVENT, resolved_at=None).update(resolved_at=now)


def mark_seen(ids: Sequence[int], who: str, now: datetime | None = None) -> int:
    """How many of these alerts nobody had read before."""
    return Alert.objects.filter(pk__in=ids, seen_at=None).update(seen_at=now or timezone.now(), seen_by=who[:150])
