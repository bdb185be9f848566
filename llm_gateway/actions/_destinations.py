"""Which channels an alert takes: those of the environment as ever, and the destinations of the rules that are about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import msgspec
from django.conf import settings
from typing_extensions import override

from llm_gateway.models import Alert, AlertDestination, AlertRule
from llm_gateway.policies.quiet import quiet_until
from llm_gateway.stores import vault

from ._channels import Channel, Letter, Mail, Post, Webhook
from .events import events

ENVIRONMENT = frozenset({Mail.name, Webhook.name})


def place_of(row: AlertDestination) -> str:
    """What the ciphertext of a destination is bound to."""
    return f"alertdestination:{row.uid}:secret"


class MailTo(Mail):
    """Mail to a destination's own addresses, through the server of the environment."""

    def __init__(self, row: AlertDestination) -> None:
        super().__init__()
        self.name = row.channel
        self._to = tuple(map(str, row.addresses))

    @override
    def has_work(self, letter: Letter) -> bool:
        return True

    @override
    def send(self, letter: Letter) -> None:
        if not settings.COGO["mail"]:
            raise ValueError("no mail server is set up; set COGO_EMAIL_URL")
        super().send(msgspec.structs.replace(letter, to=self._to))


class Slack(Webhook):
    """What Slack, Mattermost, Rocket.Chat and Discord's ``/slack`` take. Its address is its secret."""

    @override
    def has_work(self, letter: Letter) -> bool:
        return True

    @override
    def body(self, letter: Letter) -> bytes:
        return msgspec.json.encode({"text": f"*{letter.subject}*\n{letter.text}"})

    @override
    def headers(self, letter: Letter, body: bytes) -> dict[str, str]:
        return {"content-type": "application/json"}


class Sealed(Webhook):
    """A signed webhook whose secret is a row's."""

    @override
    def has_work(self, letter: Letter) -> bool:
        return True


def channel_of(row: AlertDestination, post: Post | None, clock_s: float) -> Channel:
    """Raises :class:`~llm_gateway.stores.vault.VaultError` for a secret that no key opens."""
    if row.kind == AlertDestination.Kind.MAIL:
        return MailTo(row)
    secret = vault.open_sealed(row.ciphertext, place=place_of(row)).reveal()
    if row.kind == AlertDestination.Kind.SLACK:
        return Slack(post, clock_s, name=row.channel, url=secret, secret=secret, private=row.allow_private)
    return Sealed(post, clock_s, name=row.channel, url=row.url, secret=secret, private=row.allow_private)


class Broken:
    """A destination that cannot even be asked: each try says why."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self._why = why

    def has_work(self, letter: Letter) -> bool:
        return True

    def send(self, letter: Letter) -> None:
        raise ValueError(self._why)

    def hang_up(self) -> None:
        """There is nobody."""


class Routes:
    """Read once per run. ``channels``: those of the environment and one per destination that is on."""

    def __init__(self, now: datetime, post: Post | None, clock_s: float) -> None:
        self._now = now
        self.channels: list[Channel] = [Mail(), Webhook(post, clock_s)]
        self._quiet: dict[str, datetime] = {}
        self._rules = list(AlertRule.objects.prefetch_related("destinations"))
        self._on: dict[int, str] = {}
        for row in AlertDestination.objects.filter(enabled=True):
            self._on[row.pk] = row.channel
            try:
                self.channels.append(channel_of(row, post, clock_s))
                until = self._quiet_until(row)
            except (vault.VaultError, ZoneInfoNotFoundError, ValueError) as error:
                self.channels = [one for one in self.channels if one.name != row.channel]
                self.channels.append(Broken(row.channel, str(error)[:120]))
                continue
            if until is not None:
                self._quiet[row.channel] = until

    def of(self, alert: Alert) -> tuple[frozenset[str], datetime | None]:
        """The channels that take it now, and when those that are quiet will."""
        rules = self._about(alert)
        if not rules:
            # Nobody has made a rule: budgets alert as before there were any.
            return (ENVIRONMENT if alert.kind != Alert.Kind.EVENT else frozenset()), None
        found: set[str] = set()
        later: list[datetime] = []
        for rule in rules:
            if not rule.enabled:
                continue
            found |= ENVIRONMENT if rule.environment else set()
            for row in rule.destinations.all():
                if (name := self._on.get(row.pk)) is None or name in alert.delivered:
                    continue
                if not rule.urgent and name in self._quiet:
                    later.append(self._quiet[name])
                else:
                    found.add(name)
        return frozenset(found), min(later, default=None)

    def _about(self, alert: Alert) -> list[AlertRule]:
        if alert.kind == Alert.Kind.EVENT:
            return [rule for rule in self._rules if rule.pk == alert.rule_id]
        return [rule for rule in self._rules if rule.event in events and alert.kind in events.get(rule.event).kinds]

    def _quiet_until(self, row: AlertDestination) -> datetime | None:
        if row.quiet_from is None or row.quiet_until is None:
            return None
        return quiet_until(row.quiet_from, row.quiet_until, row.timezone, self._now)


def names_of(channels: Any) -> list[str]:
    """What an alert's ``delivered`` calls them, as people read it."""
    wanted = [str(one) for one in channels or ()]
    rows = {row.channel: row.name for row in AlertDestination.objects.all()} if any(":" in one for one in wanted) else {}
    return [rows.get(one, "a deleted destination") if ":" in one else one for one in wanted]
