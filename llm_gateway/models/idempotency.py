"""What a caller's ``Idempotency-Key`` stands for: one execution, and its answer for whoever sends the request again."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from typing_extensions import override

from .access import Team


class IdempotencyRecord(models.Model):
    """``running`` → ``finished`` | ``unknown`` (it ended, and what was answered is not kept). ``request_id`` is the execution that holds
    the key and the fence of every change. A running record is alive until ``lease_until``. Hashes are keyed; the answer is encrypted."""

    class State(models.TextChoices):
        RUNNING = "running"
        FINISHED = "finished"
        UNKNOWN = "unknown"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+", db_index=False)
    key_hash = models.CharField(max_length=64, help_text="HMAC of the caller's key and who sent it.")
    body_hash = models.CharField(max_length=64, help_text="HMAC of route and body.")
    request_id = models.UUIDField(db_index=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    asked_model = models.CharField(max_length=200, blank=True, default="")
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=list)
    body = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    lease_until = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "key_hash"], name="idempotency_key"),
            models.CheckConstraint(condition=Q(state__in=["running", "finished", "unknown"]), name="idempotency_state"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="idempotency_expires")]

    @override
    def __str__(self) -> str:
        return f"{self.request_id}: {self.state}"
