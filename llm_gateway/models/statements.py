"""A team's month, once it is closed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from typing_extensions import override

from .access import Team


class StatementClosed(Exception):
    """A closed statement never changes: what comes later is an adjustment in the month in which it comes."""


class Statement(models.Model):
    """What a team spent in a calendar month of its own timezone. Money in nano-USD; ``total_nusd`` = ``cost_nusd`` + ``adjustments_nusd``.

    ``lines``: one object per client key, provider and model. ``adjustments_nusd``: corrections booked in this month, of whatever request.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="statements")
    month = models.CharField(max_length=7, help_text="2026-11")
    timezone = models.CharField(max_length=60)
    start = models.DateTimeField()
    end = models.DateTimeField()
    requests = models.BigIntegerField()
    unknown_cost_requests = models.BigIntegerField()
    estimated_nusd = models.BigIntegerField()
    cost_nusd = models.BigIntegerField()
    adjustments_nusd = models.BigIntegerField()
    total_nusd = models.BigIntegerField()
    lines = models.JSONField(default=list)
    closed_at = models.DateTimeField()
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-month", "team"]
        verbose_name = "closed month"
        constraints = [
            models.UniqueConstraint(fields=["team", "month"], name="statement_once"),
            models.CheckConstraint(
                condition=models.Q(total_nusd=models.F("cost_nusd") + models.F("adjustments_nusd")), name="statement_adds_up"
            ),
        ]

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise StatementClosed(f"the statement of {self.month} is closed; corrections go into the present month")
        super().save(*args, **kwargs)

    @override
    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise StatementClosed(f"the statement of {self.month} is closed and stays")

    @override
    def __str__(self) -> str:
        return f"{self.team} {self.month}"
