"""Versions of what routes: settings of a strategy, or the fallback list of an alias, numbered and never changed.

States: ``draft`` → ``replayed`` → ``approved`` → ``active`` → ``retired``; a retired one may be active again (a roll-back). Active is what
decides where nobody names a strategy: one version, and at most one canary that has a share of its requests. The present version of a
strategy that is not in force stands by as ``approved``. Of each alias one version is active.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.db import models
from django.db.models import Q
from typing_extensions import override

from .providers import LanguageModel
from .routing import Strategy


class PolicyVersion(models.Model):
    """Kind, settings, guards, parent, author and note are written once. Exactly one of ``strategy`` and ``alias`` is set."""

    class State(models.TextChoices):
        DRAFT = "draft"
        REPLAYED = "replayed"
        APPROVED = "approved"
        ACTIVE = "active"
        RETIRED = "retired"

    WRITTEN_ONCE = ("number", "strategy_id", "alias", "kind", "settings", "guards", "parent", "author_id", "via", "note", "created_at")

    number = models.PositiveIntegerField(unique=True)
    strategy = models.ForeignKey(Strategy, null=True, blank=True, on_delete=models.CASCADE, related_name="versions")
    alias = models.CharField(max_length=200, blank=True, default="")
    kind = models.CharField(max_length=40, help_text="The strategy file; “alias” for a fallback list.")
    settings = models.JSONField(default=dict, blank=True)
    guards = models.JSONField(default=dict, blank=True)
    note = models.CharField(max_length=300, blank=True, default="")
    parent = models.PositiveIntegerField(null=True, help_text="The version that was current when this one was written.")
    author = models.ForeignKey(django_settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    via = models.CharField(max_length=100, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    canary_share = models.FloatField(null=True, help_text="Share of the active strategy's requests while on trial.")
    approved_by = models.ForeignKey(django_settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    approved_via = models.CharField(max_length=100, blank=True, default="")
    activated_at = models.DateTimeField(null=True)
    watch = models.JSONField(null=True, help_text="What the guards have seen.")

    class Meta:
        ordering = ["-number"]
        verbose_name = "policy version"
        permissions = (("approve_policy", "Can approve policy versions"),)
        constraints = [
            models.CheckConstraint(condition=Q(strategy=None) ^ Q(alias=""), name="policy_of_strategy_or_alias"),
            models.CheckConstraint(
                condition=Q(canary_share=None) | (Q(state="active", alias="") & Q(canary_share__gt=0) & Q(canary_share__lt=1)),
                name="policy_canary_is_active",
            ),
            models.UniqueConstraint(fields=["state"], condition=Q(state="active", canary_share=None, alias=""), name="policy_one_active"),
            models.UniqueConstraint(fields=["alias"], condition=Q(state="active") & ~Q(alias=""), name="policy_active_per_alias"),
            models.UniqueConstraint(fields=["state"], condition=Q(state="active", canary_share__isnull=False), name="policy_one_canary"),
        ]

    @override
    def __str__(self) -> str:
        return f"version {self.number}"

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises ValueError for a change of what is written once."""
        if not self._state.adding:
            stored = type(self).objects.filter(pk=self.pk).values(*self.WRITTEN_ONCE).first() or {}
            changed = [name for name, value in stored.items() if getattr(self, name) != value]
            if changed:
                raise ValueError(f"A policy version is never changed: {', '.join(changed)}. Write a new one.")
        super().save(*args, **kwargs)

    @property
    def name(self) -> str:
        """Of what it is a version."""
        return self.strategy.name if self.strategy else self.alias


class PolicyEvent(models.Model):
    """What happened to a version. The newest event that changed what routes is the ``revision`` that an activation has to name."""

    class Kind(models.TextChoices):
        CREATED = "created"
        REPLAYED = "replayed"
        APPROVED = "approved"
        ACTIVATED = "activated"
        CANARY = "canary"
        ROLLED_BACK = "rolled_back", "put in force again"
        ENDED = "ended", "canary rolled back"
        RETIRED = "retired"

    SWITCHES = (Kind.ACTIVATED, Kind.CANARY, Kind.ROLLED_BACK, Kind.ENDED)

    version = models.ForeignKey(PolicyVersion, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(django_settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    via = models.CharField(max_length=100, blank=True, default="")
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        verbose_name = "policy event"

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.version_id}"

    @classmethod
    def revision(cls) -> int:
        return cls.objects.filter(kind__in=cls.SWITCHES).order_by("-pk").values_list("pk", flat=True).first() or 0


class DecisionContext(models.Model):
    """What many decisions have in common, written once: a catalogue without secrets, statistics of one second, a list of candidates."""

    key = models.CharField(max_length=24, primary_key=True)
    kind = models.CharField(max_length=12)
    at = models.DateTimeField(help_text="When it was in use last, to some hours.")
    body = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["at"], name="decision_context_at")]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class PolicyReplay(models.Model):
    """One replay of a version over the log. ``queued`` → ``running`` → ``done`` | ``failed``."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    version = models.ForeignKey(PolicyVersion, on_delete=models.CASCADE, related_name="replays")
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    last = models.PositiveIntegerField(default=10_000)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    catalogue = models.BigIntegerField(default=0, help_text="The catalogue's version when it ran.")
    report = models.JSONField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")
    by = models.ForeignKey(django_settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-id"]
        verbose_name = "policy replay"

    @override
    def __str__(self) -> str:
        return f"replay {self.pk} of version {self.version_id}"


class LearnerState(models.Model):
    """What is learnt of one model: sums of its answers' features and results, and what was fitted from them. No text, no request."""

    model = models.OneToOneField(LanguageModel, primary_key=True, on_delete=models.CASCADE, related_name="+")
    memory = models.JSONField(default=dict)
    learnt = models.JSONField(default=dict)

    @override
    def __str__(self) -> str:
        return f"what is learnt of {self.model_id}"


class LearnedDay(models.Model):
    """What a learning version did on a day, and what the share did that stayed with its base (``held``): sums. Callers fall into
    ``bucket`` by a hash, so that what hangs together stays together and the error of a mean can be told."""

    version = models.PositiveIntegerField()
    day = models.DateField()
    held = models.BooleanField()
    bucket = models.PositiveSmallIntegerField()
    requests = models.PositiveIntegerField(default=0)
    ok = models.PositiveIntegerField(default=0)
    priced = models.PositiveIntegerField(default=0)
    cost_nusd = models.BigIntegerField(default=0)
    scored = models.PositiveIntegerField(default=0)
    score = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "version", "held", "bucket"], name="learned_day_once")]

    @override
    def __str__(self) -> str:
        return f"version {self.version} on {self.day}"


class LearnerClock(models.Model):
    """The single row (id 1): up to when the log is learnt from and measured, and what looking at others cost today."""

    learnt_until = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    explored_nusd = models.BigIntegerField(default=0)
    measured_until = models.DateTimeField(null=True)

    @override
    def __str__(self) -> str:
        return f"learnt until {self.learnt_until}"
