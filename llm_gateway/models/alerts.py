"""What somebody has to be told: rules say of what, destinations say whom. Budget alerts are written with the commit that caused them, all
others by a task; a task delivers both."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from typing_extensions import override

from .money import Budget


class AlertDestination(models.Model):
    """Where alerts go. ``ciphertext``: the secret a webhook is signed with, or the whole address of a Slack-compatible hook, which is one.
    Between ``quiet_from`` and ``quiet_until`` (clocks of ``timezone``) what is not urgent waits."""

    class Kind(models.TextChoices):
        MAIL = "mail", "mail"
        WEBHOOK = "webhook", "signed webhook"
        SLACK = "slack", "Slack-compatible"

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.CharField(max_length=60, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    addresses = models.JSONField(default=list, blank=True)
    url = models.CharField("URL", max_length=500, blank=True, default="")
    ciphertext = models.TextField(blank=True, default="", editable=False)
    allow_private = models.BooleanField(default=False, help_text="It may be at a private address and without TLS.")
    enabled = models.BooleanField(default=True)
    quiet_from = models.TimeField("quiet from", null=True, blank=True)
    quiet_until = models.TimeField("quiet until", null=True, blank=True)
    timezone = models.CharField("time zone", max_length=60, default="UTC")
    tested_at = models.DateTimeField(null=True, editable=False)
    test_error = models.CharField(max_length=200, blank=True, default="", editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["mail", "webhook", "slack"]), name="alert_destination_kind"),
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_until=None) | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="alert_destination_quiet",
            ),
        ]

    @override
    def __str__(self) -> str:
        return self.name

    @property
    def channel(self) -> str:
        """How an alert remembers that it was delivered here."""
        return f"destination:{self.pk}"


class AlertRule(models.Model):
    """Which event is told to whom. ``event`` names a file of the events' registry; ``settings`` are its figures where they differ from its
    defaults. ``environment``: the destinations of the environment variables hear of it, too."""

    event = models.CharField(max_length=40)
    name = models.CharField(max_length=80, unique=True)
    enabled = models.BooleanField(default=True)
    settings = models.JSONField(default=dict, blank=True)
    destinations = models.ManyToManyField(AlertDestination, blank=True, related_name="rules")
    environment = models.BooleanField(
        "also those of the environment", default=True, help_text="COGO_ALERT_EMAIL and COGO_ALERT_WEBHOOK_URL, and a budget's team."
    )
    urgent = models.BooleanField(default=False, help_text="Delivered in quiet hours, too.")
    pause_min = models.PositiveIntegerField(
        "pause (minutes)", default=60, help_text="What ends and begins again within this time is the same alert and is not sent again."
    )
    looked_at = models.DateTimeField(null=True, editable=False)
    error = models.CharField(max_length=200, blank=True, default="", editable=False)

    class Meta:
        ordering = ["name"]

    @override
    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """Of a budget: once per budget, period, kind, threshold and limit. Of a rule: one open at a time per ``about``, from ``created_at`` to
    ``resolved_at``. ``delivered`` names the channels that took it; ``sent_at`` is set when none is left; ``seen_at``: somebody has read it
    in the console."""

    class Kind(models.TextChoices):
        THRESHOLD = "threshold", "a threshold was crossed"
        EXHAUSTED = "exhausted", "requests are refused"
        TOO_SMALL = "too_small", "a request larger than the budget was refused"
        OVERRUN = "overrun", "a provider billed above a hold"
        EVENT = "event", "an event"

    budget = models.ForeignKey(Budget, null=True, on_delete=models.SET_NULL, related_name="alerts")
    budget_name = models.CharField(max_length=100)
    period_id = models.CharField("period", max_length=12, blank=True, default="")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    threshold = models.PositiveIntegerField(help_text="Percent of the limit.")
    limit_nusd = models.BigIntegerField("limit (nano-USD)")
    spent_nusd = models.BigIntegerField("spent (nano-USD)")
    created_at = models.DateTimeField()
    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="alerts", db_index=False)
    event = models.CharField(max_length=40, blank=True, db_default="", default="")
    about = models.CharField(max_length=120, blank=True, db_default="", default="")
    text = models.CharField(max_length=500, blank=True, db_default="", default="")
    times = models.PositiveIntegerField(db_default=1, default=1)
    last_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    seen_by = models.CharField(max_length=150, blank=True, db_default="", default="")
    delivered = models.JSONField(default=list)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["budget", "period_id", "kind", "threshold", "limit_nusd"], name="alert_once_per_limit"),
            models.UniqueConstraint(fields=["rule", "about"], condition=Q(kind="event", resolved_at=None), name="alert_open_once"),
        ]
        indexes = [
            models.Index(fields=["next_try_at"], name="alert_unsent", condition=Q(sent_at=None)),
            models.Index(fields=["created_at"], name="alert_unseen", condition=Q(seen_at=None)),
            models.Index(fields=["rule", "about", "id"], name="alert_of_rule", condition=Q(kind="event")),
        ]

    @override
    def __str__(self) -> str:
        if self.kind == self.Kind.EVENT:
            return f"{self.event}: {self.about}"
        return f"{self.budget_name} {self.period_id}: {self.kind} {self.threshold} %"
