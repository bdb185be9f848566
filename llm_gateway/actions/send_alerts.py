"""Tell people of alerts: e-mail to the team and the operator, a signed webhook. At least once; a channel that took it is not asked again.

The webhook's body is the same size whatever happens, signed as ``x-cogo-signature: t=<unix seconds>,v1=<HMAC-SHA256 of "t.body">``.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.utils import timezone

from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.money import format_usd
from llm_gateway.engine.transport import HttpUpstream
from llm_gateway.models import Alert
from llm_gateway.policies.periods import shown

log = logging.getLogger("cogo.alerts")

AT_ONCE = 50
MAX_TRIES = 12
TIMEOUT_S = 10.0
_WORDS = {
    Alert.Kind.THRESHOLD: "has reached {threshold} % of its limit",
    Alert.Kind.EXHAUSTED: "is used up; requests are refused",
    Alert.Kind.OVERRUN: "was passed: a provider billed more than was held",
}
Post = Callable[[str, bytes, dict[str, str]], Awaitable[int]]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    sent: int = 0
    waiting: int = 0
    given_up: int = 0


def send_alerts(now: datetime | None = None, post: Post | None = None) -> Sent:
    """Deliver what is due. Each alert is claimed first, so that two clusters do not both send it."""
    now = now or timezone.now()
    counts = {"sent": 0, "waiting": 0, "given_up": 0}
    due = Alert.objects.filter(Q(next_try_at=None) | Q(next_try_at__lte=now), sent_at=None).select_related("budget__team")
    for alert in due.order_by("pk")[:AT_ONCE]:
        claim = now + timedelta(seconds=min(3600, 60 * 2**alert.tries))
        mine = Alert.objects.filter(pk=alert.pk, tries=alert.tries, sent_at=None)
        if mine.update(tries=alert.tries + 1, next_try_at=claim):
            counts[_deliver(alert, now, post or _post)] += 1
    return Sent(**counts)


def text_of(alert: Alert) -> str:
    """One sentence, the same in the mail and the webhook."""
    what = _WORDS[Alert.Kind(alert.kind)].format(threshold=alert.threshold)
    return (
        f"The budget “{alert.budget_name}” {what}: {format_usd(alert.spent_nusd)} of {format_usd(alert.limit_nusd)} USD "
        f"in the period {shown(alert.period_id)}."
    )


def _deliver(alert: Alert, now: datetime, post: Post) -> str:
    delivered, problems = list(alert.delivered), []
    for name, send in (("email", _email), ("webhook", _webhook)):
        if name in delivered:
            continue
        try:
            if send(alert, now, post):
                delivered.append(name)
        except (OSError, AttemptFailed, TimeoutError, ValueError) as error:
            problems.append(f"{name}: {type(error).__name__} {error}"[:95])
    gave_up = bool(problems) and alert.tries + 1 >= MAX_TRIES
    done = not problems or gave_up
    Alert.objects.filter(pk=alert.pk).update(delivered=delivered, error="; ".join(problems)[:200], sent_at=now if done else None)
    if problems:
        log.warning("an alert was not delivered", extra={"alert": alert.pk, "reason": "; ".join(problems)})
    return "given_up" if gave_up else "sent" if done else "waiting"


def _email(alert: Alert, _: datetime, __: Post) -> bool:
    """Whether there was a way to write, and anybody to write to."""
    if not settings.COGO["mail"]:
        return False
    budget = alert.budget
    team = (budget.team or (budget.client_key.team if budget.client_key else None)) if budget else None
    to = dict.fromkeys(filter(None, (team.alert_email if team else "", settings.COGO["alert_email"])))
    if not to:
        return False
    send_mail(f"[COGO] {alert.budget_name.replace(chr(10), ' ')}: {alert.kind}", text_of(alert), None, list(to))
    return True


def _webhook(alert: Alert, now: datetime, post: Post) -> bool:
    url, secret = settings.COGO["alert_webhook_url"], settings.COGO["alert_webhook_secret"]
    # Without a secret a receiver could not tell our word from anybody's: the feature is off.
    if not url or not secret:
        return False
    if urlsplit(url).scheme != "https" and not settings.COGO["alert_webhook_private"]:
        raise ValueError("COGO_ALERT_WEBHOOK_URL must begin with https")
    body = msgspec.json.encode(_body(alert))
    stamp = str(int(now.timestamp()))
    digest = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hex()
    headers = {"content-type": "application/json", "x-cogo-signature": f"t={stamp},v1={digest}"}
    status = asyncio.run(_within(post(url, body, headers)))
    if not 200 <= status < 300:
        raise ValueError(f"it answered {status}")
    return True


def _body(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.pk,
        "kind": alert.kind,
        "text": text_of(alert),
        "budget": alert.budget_name,
        "period": alert.period_id,
        "threshold_percent": alert.threshold,
        "limit_usd": format_usd(alert.limit_nusd),
        "spent_usd": format_usd(alert.spent_nusd),
        "at": alert.created_at.isoformat(),
    }


async def _within(call: Awaitable[int]) -> int:
    async with asyncio.timeout(TIMEOUT_S):
        return await call


async def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Through the one door: no redirects, no proxy, no private address unless the operator admits them."""
    upstream = HttpUpstream()
    try:
        private = settings.COGO["alert_webhook_private"]
        response = await upstream.send("POST", url, headers, body, connect_s=5.0, allow_private=private)
        response.close()
        return response.status
    finally:
        await upstream.close()
