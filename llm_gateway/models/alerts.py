"""What somebody has to be told about money: written with the commit that caused it, delivered later by a task."""

from __future__ import annotations

from django.db import models
from typing_extensions import override

from .money import Budget


class Alert(models.Model):
    """Once per budget, period, kind, threshold and limit. ``delivered`` names the channels that took it; ``sent_at`` is set when none is
    left."""

    class Kind(models.TextChoices):
        THRESHOLD = "threshold", "a threshold was crossed"
        EXHAUSTED = "exhausted", "requests are refused"
        TOO_SMALL = "too_small", "a request larger than the budget was refused"
        OVERRUN = "overrun", "a provider billed above a hold"

    budget = models.ForeignKey(Budget, null=True, on_delete=models.SET_NULL, related_name="alerts")
    budget_name = models.CharField(max_length=100)
    period_id = models.CharField("period", max_length=12, blank=True, default="")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    threshold = models.PositiveIntegerField(help_text="Percent of the limit.")
    limit_nusd = models.BigIntegerField("limit (nano-USD)")
    spent_nusd = models.BigIntegerField("spent (nano-USD)")
    created_at = models.DateTimeField()
    delivered = models.JSONField(default=list)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["budget", "period_id", "kind", "threshold", "limit_nusd"], name="alert_once_per_limit")
        ]
        indexes = [models.Index(fields=["next_try_at"], name="alert_unsent", condition=models.Q(sent_at=None))]

    @override
    def __str__(self) -> str:
        return f"{self.budget_name} {self.period_id}: {self.kind} {self.threshold} %"
