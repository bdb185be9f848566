"""What the scheduled audits found."""

from __future__ import annotations

from django.db import models
from typing_extensions import override


class AuditRun(models.Model):
    """One run. ``findings``: of each rule that is broken or has something to note, its code, title, number, offenders and note."""

    class Kind(models.TextChoices):
        BOOKS = "books", "all books"
        WATCH = "watch", "what is open, waits or stands still"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    at = models.DateTimeField()
    took_ms = models.PositiveIntegerField(default=0)
    ok = models.BooleanField()
    rules = models.JSONField(default=list, help_text="The codes of all rules that were tried.")
    findings = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]
        verbose_name = "audit"

    @override
    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {self.at:%Y-%m-%d %H:%M} UTC: {'ok' if self.ok else 'failed'}"
