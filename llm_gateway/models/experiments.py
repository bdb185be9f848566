"""Experiments: which arm of an A/B strategy does better, planned before it is known.

States: ``draft`` → ``running`` → ``stopped``. Verdicts while it runs: collecting, better, worse, equivalent, invalid; and undecided, when
it stops without one. A verdict is a row and stays.
"""

from __future__ import annotations

from django.conf import settings as django_settings
from django.db import models
from django.db.models import Q
from typing_extensions import override

from .routing import Strategy


class Experiment(models.Model):
    """What is planned is frozen by the start: arms, unit, metric, guardrails, minimal effect, end and the version that assigns."""

    class State(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        STOPPED = "stopped"

    class Unit(models.TextChoices):
        USER = "user"
        CONVERSATION = "conversation"
        KEY = "key"

    name = models.CharField(max_length=100, unique=True)
    hypothesis = models.CharField(max_length=500, blank=True, default="")
    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="experiments")
    unit = models.CharField(max_length=12, choices=Unit.choices)
    metric = models.CharField(max_length=20)
    guardrails = models.JSONField(default=list, blank=True)
    minimal_effect = models.FloatField(null=True, blank=True, help_text="A difference smaller than this is none, in the metric's own unit.")
    ends_at = models.DateTimeField(null=True, blank=True)
    stops_itself = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.DRAFT)
    arms = models.JSONField(default=list, blank=True, help_text="Frozen at the start: [name, weight], the first is the one to beat.")
    version = models.PositiveIntegerField(default=0)
    salt = models.CharField(max_length=60, blank=True, default="")
    verdict = models.CharField(max_length=10, default="collecting")
    sentence = models.CharField(max_length=500, blank=True, default="")
    figures = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)
    author = models.ForeignKey(django_settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    via = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        constraints = [
            # Two at once on the same callers would answer neither question.
            models.UniqueConstraint(fields=["state"], condition=Q(state="running"), name="one_running_experiment"),
            models.CheckConstraint(condition=Q(state="draft") | Q(started_at__isnull=False), name="experiment_started"),
        ]

    @override
    def __str__(self) -> str:
        return self.name


class ExperimentHistory(models.Model):
    """What units did in the 14 days before, while it runs: {metric: {unit: [sum, count]}}. Units are keyed digests or ids of keys."""

    experiment = models.OneToOneField(Experiment, primary_key=True, on_delete=models.CASCADE, related_name="+")
    units = models.JSONField()

    @override
    def __str__(self) -> str:
        return f"what units did before {self.experiment_id}"


class ExperimentVerdict(models.Model):
    """What was said when it changed, with the figures it rested on."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="verdicts")
    at = models.DateTimeField()
    verdict = models.CharField(max_length=10)
    sentence = models.CharField(max_length=500)
    figures = models.JSONField()

    class Meta:
        ordering = ["-id"]

    @override
    def __str__(self) -> str:
        return f"{self.verdict} at {self.at:%Y-%m-%d %H:%M}"
