"""Parts of batches that are executed by a provider's own batch API."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from typing_extensions import override

from .batches import Batch
from .providers import LanguageModel, Provider, ProviderKey

OPEN = ("opening", "sending", "creating", "waiting", "reading")


class BatchShard(models.Model):
    """At most 500 lines of one model on their way through a provider's batch API.

    ``opening`` (rows and holds are being written, nothing was sent) → ``sending`` (all are committed; a file may have gone out) →
    ``creating`` (the batch may exist there: it is looked for before it is created again) → ``waiting`` (``remote_id`` is noted) →
    ``reading`` (it has ended there; its lines are being ended) → ``ended``. Each step is one conditional update by whoever holds the
    lease, and each may be repeated."""

    class State(models.TextChoices):
        OPENING = "opening"
        SENDING = "sending"
        CREATING = "creating"
        WAITING = "waiting"
        READING = "reading"
        ENDED = "ended"

    id = models.UUIDField(primary_key=True)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="shards")
    provider = models.ForeignKey(Provider, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    credential = models.ForeignKey(ProviderKey, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    model = models.ForeignKey(LanguageModel, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    upstream_id = models.CharField(max_length=200)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPENING)
    upload_id = models.CharField(max_length=200, blank=True, default="")
    remote_id = models.CharField(max_length=200, blank=True, default="")
    total = models.PositiveIntegerField()
    answered = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    returned = models.PositiveIntegerField(default=0, help_text="Not executed and not charged: the gateway executes them.")
    feared = models.PositiveIntegerField(default=0, help_text="Lost by the provider: charged as held, and executed by the gateway.")
    note = models.CharField(max_length=300, blank=True, default="")
    tries = models.PositiveIntegerField(default=0, help_text="Of the step that it is at.")
    gone = models.PositiveSmallIntegerField(default=0, help_text="How often in a row the provider did not know it.")
    adopted = models.BooleanField(default=False, help_text="Found there by moment and size alone: it may be another's.")
    cancel_sent = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, help_text="Before its first byte went out.")
    ended_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(help_text="When its next step is due.")
    runner = models.CharField(max_length=40, blank=True, default="")
    lease_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["opening", "sending", "creating", "waiting", "reading", "ended"]), name="batch_shard_state"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["opening"]) | Q(sent_at__isnull=False) | Q(state="ended"), name="batch_shard_sent"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["waiting", "reading"]) | ~Q(remote_id=""), name="batch_shard_waits_for_something"
            ),
            models.CheckConstraint(condition=~Q(state="ended") | Q(ended_at__isnull=False), name="batch_shard_ended"),
        ]
        indexes = [models.Index(fields=["next_at"], name="batch_shard_due", condition=~Q(state="ended"))]

    @override
    def __str__(self) -> str:
        return f"cogo-{self.id.hex}"
