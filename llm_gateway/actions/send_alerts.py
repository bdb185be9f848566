"""Tell people of alerts: mail, signed webhooks, Slack-compatible hooks. At least once; a channel that took it is not asked again.

Each channel has a thread and a turn of its own, so that one which is silent holds up no other; each delivery has a clock, each run an end
well before that of its task, and each try its end in the alert's row. A failed try is repeated after a pause that doubles, twelve times.

The webhook's body is the same size whatever happens, signed as ``x-cogo-signature: t=<unix seconds>,v1=<HMAC-SHA256 of "t.body">``.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from llm_gateway.core.money import format_usd
from llm_gateway.core.redact import redact
from llm_gateway.models import Alert
from llm_gateway.policies.periods import shown

from ._channels import Channel, Letter, Post
from ._destinations import Routes, names_of
from .events import events

log = logging.getLogger("cogo.alerts")

AT_ONCE = 50
MAX_TRIES = 12
# One delivery; all of a run. The task is killed after 120 s.
CLOCK_S = 12.0
RUN_S = 50.0
_LONGEST_PAUSE_S = 3600
_OPEN = "a try began at {at} UTC and has not ended yet"
_DEAD = "not tried: it gave no answer to an alert before this one"
_WORDS = {
    Alert.Kind.THRESHOLD: "has reached {threshold} % of its limit",
    Alert.Kind.EXHAUSTED: "is used up; requests are refused",
    Alert.Kind.TOO_SMALL: "refused a request that could cost more than its whole limit; others of its size will be refused too",
    Alert.Kind.OVERRUN: "was passed: a provider billed more than was held",
}


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    sent: int = 0
    waiting: int = 0
    given_up: int = 0


def send_alerts(now: datetime | None = None, post: Post | None = None, *, clock_s: float = CLOCK_S, run_s: float = RUN_S) -> Sent:
    """Deliver what is due. Each alert is claimed first, so that two clusters do not both send it."""
    now = now or timezone.now()
    claimed = _claim(now)
    routes = Routes(now, post, clock_s * 0.8)
    taken = {alert.pk: routes.of(alert) for alert in claimed}
    letters = {alert.pk: _letter(alert, now, taken[alert.pk][0]) for alert in claimed}
    found = _Delivery(routes.channels, claimed, letters, clock_s).run(run_s)
    counts = {"sent": 0, "waiting": 0, "given_up": 0}
    for alert in claimed:
        counts[_write_end(alert, found[alert.pk], now, taken[alert.pk][1])] += 1
    return Sent(**counts)


def send_test(channel: Channel, now: datetime | None = None, *, clock_s: float = 8.0) -> str:
    """Deliver a letter that says it is a test, now. What went wrong, or nothing."""
    now = now or timezone.now()
    text = "This is a test of an alert destination. Nothing happened."
    body = {"id": 0, "kind": "test", "event": "test", "about": "", "text": text, "at": now.isoformat()}
    letter = Letter(
        alert=0,
        subject="[COGO] Test of an alert destination",
        text=text,
        to=tuple(filter(None, settings.COGO["alert_email"].split(", "))),
        body=msgspec.json.encode(body),
        stamp=str(int(now.timestamp())),
        routes=frozenset({channel.name}),
    )
    if not channel.has_work(letter):
        return "it is not set up"
    found = _Delivery([channel], [Alert(pk=0)], {0: letter}, clock_s).run(clock_s)[0]
    return next(iter(found.problems.values()), "")


def text_of(alert: Alert) -> str:
    """One sentence, the same in the mail and the webhook."""
    if alert.kind == Alert.Kind.EVENT:
        return alert.text
    what = _WORDS[Alert.Kind(alert.kind)].format(threshold=alert.threshold)
    if alert.kind == Alert.Kind.EXHAUSTED and alert.spent_nusd < alert.limit_nusd:
        # Every request reserves the most it may cost, so a budget refuses before all of it is spent.
        what = "refuses requests: what they reserve no longer fits beside what is spent and held"
    return (
        f"The budget “{alert.budget_name}” {what}: {format_usd(alert.spent_nusd)} of {format_usd(alert.limit_nusd)} USD spent "
        f"in the period {shown(alert.period_id)}."
    )


class _Ends(msgspec.Struct):
    """What came of one alert: channels that took it, problems by channel."""

    delivered: list[str]
    problems: dict[str, str]


class _Delivery:
    """One run. The channels' threads call outside and report; this thread keeps the clocks. Nothing here touches the database."""

    def __init__(self, channels: Sequence[Channel], alerts: Sequence[Alert], letters: dict[int, Letter], clock_s: float) -> None:
        self._clock_s = clock_s
        self._reports: queue.SimpleQueue[tuple[str, int, str, str]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._found = {alert.pk: _Ends(delivered=list(alert.delivered), problems={}) for alert in alerts}
        self._channels = {channel.name: channel for channel in channels}
        self._left = {
            channel.name: [letter for a in alerts if channel.name not in a.delivered and _takes(channel, letter := letters[a.pk])]
            for channel in channels
        }
        # When the delivery that a channel is at began.
        self._began: dict[str, float] = {}

    def run(self, run_s: float) -> dict[int, _Ends]:
        until = time.monotonic() + run_s
        for name, letters in self._left.items():
            if letters:
                self._began[name] = time.monotonic()
                threading.Thread(target=self._walk, args=(name, tuple(letters)), name=f"alerts by {name}", daemon=True).start()
        while self._began:
            clock = min(min(self._began.values()) + self._clock_s, until)
            try:
                self._take(*self._reports.get(timeout=max(0.0, clock - time.monotonic())))
            except queue.Empty:
                self._give_up(time.monotonic(), over=time.monotonic() >= until)
        self._stopped.set()
        return self._found

    def _walk(self, name: str, letters: Sequence[Letter]) -> None:
        """The channel's own thread."""
        for letter in letters:
            if self._stopped.is_set():
                return
            self._reports.put((name, letter.alert, "begun", ""))
            began = time.monotonic()
            try:
                self._channels[name].send(letter)
            except Exception as error:  # whatever a channel raises is the end of a try, to be written down
                # Libraries give a time-out many names; who took this long to fail would take it again.
                slow = time.monotonic() - began > self._clock_s / 4
                own = getattr(self._channels[name], "secret", "")
                self._reports.put((name, letter.alert, "silent" if slow else "failed", _said(error, own)))
                if slow:
                    return
            else:
                self._reports.put((name, letter.alert, "delivered", ""))

    def _take(self, name: str, alert: int, what: str, said: str) -> None:
        if name not in self._began:
            return  # given up before
        if what == "begun":
            self._began[name] = time.monotonic()
            return
        self._left[name] = [letter for letter in self._left[name] if letter.alert != alert]
        if what == "delivered":
            self._found[alert].delivered.append(name)
        else:
            self._found[alert].problems[name] = said
        if what == "silent":
            self._abandon(name, _DEAD)
        elif not self._left[name]:
            del self._began[name]

    def _give_up(self, now: float, *, over: bool) -> None:
        for name, began in list(self._began.items()):
            if over or now >= began + self._clock_s:
                current = self._left[name][0]
                self._found[current.alert].problems[name] = f"gave no answer within {now - began:.0f} s"
                del self._left[name][0]
                self._channels[name].hang_up()
                self._abandon(name, "its turn did not come in this run" if over else _DEAD)

    def _abandon(self, name: str, why: str) -> None:
        for letter in self._left.pop(name):
            self._found[letter.alert].problems[name] = why
        del self._began[name]


def _claim(now: datetime) -> list[Alert]:
    """Those that are due and that nobody else has taken, marked as begun: a run that is killed leaves that word in the row."""
    due = Alert.objects.filter(Q(next_try_at=None) | Q(next_try_at__lte=now), sent_at=None).select_related(
        "budget__team", "budget__client_key__team"
    )
    claimed = []
    for alert in due.order_by("pk")[:AT_ONCE]:
        again = now + timedelta(seconds=min(_LONGEST_PAUSE_S, 60 * 2 ** min(alert.tries, 6)))
        mine = Alert.objects.filter(pk=alert.pk, tries=alert.tries, sent_at=None)
        if alert.tries >= MAX_TRIES:
            # The runs of all its tries were killed before they could write their end.
            mine.update(sent_at=now, error=f"given up: {alert.error}"[:200])
        elif mine.update(tries=alert.tries + 1, next_try_at=again, error=_OPEN.format(at=f"{now:%Y-%m-%d %H:%M:%S}")):
            claimed.append(alert)
    return claimed


def _takes(channel: Channel, letter: Letter) -> bool:
    return channel.name in letter.routes and channel.has_work(letter)


def _write_end(alert: Alert, ends: _Ends, now: datetime, later: datetime | None) -> str:
    """``later``: when the destinations that are quiet now will take it. Waiting for them is no try."""
    gave_up = later is None and bool(ends.problems) and alert.tries + 1 >= MAX_TRIES
    done = later is None and (not ends.problems or gave_up)
    error = "; ".join(f"{name}: {said}"[:95] for name, said in zip(names_of(ends.problems), ends.problems.values(), strict=True))
    end: dict[str, Any] = {"delivered": sorted(ends.delivered), "error": error[:200], "sent_at": now if done else None}
    if later is not None:
        end["tries"] = alert.tries
        if not ends.problems:
            end |= {"next_try_at": later, "error": f"waits until quiet hours end at {later.astimezone(UTC):%Y-%m-%d %H:%M} UTC"}
    Alert.objects.filter(pk=alert.pk).update(**end)
    if later is not None and not ends.problems:
        return "waiting"
    if error:
        log.warning("an alert was not delivered", extra={"alert": alert.pk, "reason": error, "given_up": gave_up})
    return "given_up" if gave_up else "sent" if done else "waiting"


def _said(error: Exception, own: str = "") -> str:
    known = (getattr(settings, "EMAIL_HOST_PASSWORD", "") or "", settings.COGO["alert_webhook_secret"], own)
    return redact(f"{type(error).__name__} {error}", *known)


def _letter(alert: Alert, now: datetime, routes: frozenset[str]) -> Letter:
    budget = alert.budget
    team = (budget.team or (budget.client_key.team if budget.client_key else None)) if budget else None
    to = dict.fromkeys(filter(None, (team.alert_email if team else "", *settings.COGO["alert_email"].split(", "))))
    return Letter(
        alert=alert.pk,
        subject=_subject(alert),
        text=text_of(alert),
        to=tuple(to),
        body=msgspec.json.encode(_body(alert)),
        stamp=str(int(now.timestamp())),
        routes=routes,
    )


def _subject(alert: Alert) -> str:
    if alert.kind == Alert.Kind.EVENT:
        return f"[COGO] {events.get(alert.event).title if alert.event in events else alert.event}"
    return f"[COGO] {' '.join(alert.budget_name.split())}: {alert.kind}"


def _body(alert: Alert) -> dict[str, Any]:
    if alert.kind == Alert.Kind.EVENT:
        return {
            "id": alert.pk,
            "kind": alert.kind,
            "event": alert.event,
            "about": alert.about,
            "text": text_of(alert),
            "at": alert.created_at.isoformat(),
        }
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
