"""Files that callers upload, and batches of requests read from them.

A batch: ``validating`` → ``in_progress`` → ``completed`` | ``cancelling`` → ``cancelled`` | ``expired``; ``validating`` →
``failed``. It is paused while ``pause_reason`` says why. Its lines: ``queued`` → ``running`` → ``completed`` | ``failed``; a running line
goes back to ``queued`` when its runner died or nothing was sent for it; ``queued`` → ``expired`` | ``cancelled``. Every change of a line
counts itself in its batch within one transaction that locks the batch first.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from typing_extensions import override

from .access import ClientKey, Team

MOST_EXECUTIONS = 2
ENDED = ("completed", "failed", "expired", "cancelled")


class StoredFile(models.Model):
    """A file in sealed pieces, for the key that uploaded it. ``state``: ``uploading`` → ``ready`` → ``deleted``, after which it is kept for
    the batches that still read it. One with a ``batch`` has no pieces: it is that batch's results, ``outputs`` or ``errors``."""

    class State(models.TextChoices):
        UPLOADING = "uploading"
        READY = "ready"
        DELETED = "deleted"

    id = models.UUIDField(primary_key=True)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    client_key = models.ForeignKey(ClientKey, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=200, blank=True, default="")
    media_type = models.CharField(max_length=100, blank=True, default="")
    purpose = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State.choices, default=State.UPLOADING)
    inline = models.BooleanField(default=False, help_text="Requests that came in a body: never listed.")
    bytes = models.BigIntegerField(default=0)
    batch = models.ForeignKey("Batch", null=True, on_delete=models.CASCADE, related_name="files")
    part = models.CharField(max_length=8, blank=True, default="", help_text="outputs or errors")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["uploading", "ready", "deleted"]), name="stored_file_state"),
            models.CheckConstraint(condition=Q(bytes__gte=0), name="stored_file_size"),
            models.UniqueConstraint(fields=["batch", "part"], condition=Q(batch__isnull=False), name="stored_file_part"),
        ]
        indexes = [
            models.Index(fields=["client_key", "created_at"], name="stored_file_of_key"),
            models.Index(fields=["expires_at"], name="stored_file_expires"),
        ]

    @override
    def __str__(self) -> str:
        return f"file-{self.id.hex}"


class FileChunk(models.Model):
    """One piece, sealed by itself."""

    file = models.ForeignKey(StoredFile, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="file_chunk_number")]

    @override
    def __str__(self) -> str:
        return f"{self.file_id}: {self.number}"


class Batch(models.Model):
    """Counts add up at every commit (BT1). ``on_budget``: what a hard budget's refusal does, ``pause`` or ``fail``. ``request_digest``:
    keyed, of what was asked for under ``idempotency_key``, itself kept as a keyed digest."""

    class State(models.TextChoices):
        VALIDATING = "validating"
        IN_PROGRESS = "in_progress"
        CANCELLING = "cancelling"
        COMPLETED = "completed"
        FAILED = "failed"
        EXPIRED = "expired"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    client_key = models.ForeignKey(ClientKey, on_delete=models.CASCADE, related_name="batches", db_index=False)
    dialect = models.CharField(max_length=20)
    endpoint = models.CharField(max_length=60)
    model = models.CharField(max_length=200, blank=True, default="", help_text="Where the address names it and not each line.")
    title = models.CharField(max_length=200, blank=True, default="")
    state = models.CharField(max_length=12, choices=State.choices, default=State.VALIDATING)
    pause_reason = models.CharField(max_length=300, blank=True, default="")
    look_again_at = models.DateTimeField(null=True, help_text="When a paused batch is looked at again.")
    on_budget = models.CharField(max_length=5, default="pause")
    economy = models.BooleanField(default=False)
    lane = models.CharField(max_length=8, default="gateway", help_text="gateway, or provider: its own batch API executes the lines.")
    lane_asked = models.BooleanField(default=False, help_text="Its caller named the lane: it runs there or not at all.")
    lane_note = models.CharField(max_length=300, blank=True, default="", help_text="Why it is not in the lane that was wished for.")
    input = models.ForeignKey(StoredFile, null=True, on_delete=models.SET_NULL, related_name="batches")
    metadata = models.JSONField(null=True)
    faults = models.JSONField(default=list, help_text="Why it could not begin: line, field, sentence.")
    idempotency_key = models.CharField(max_length=64, blank=True, default="")
    request_digest = models.CharField(max_length=64, blank=True, default="")
    webhook_url = models.CharField(max_length=500, blank=True, default="")
    webhook_secret = models.TextField(blank=True, default="", help_text="Sealed.")
    webhook_tries = models.PositiveSmallIntegerField(default=0)
    webhook_due_at = models.DateTimeField(null=True)
    total = models.PositiveIntegerField(default=0)
    queued = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    expired = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    estimate_nusd = models.BigIntegerField(null=True, help_text="What it will probably cost; empty: no price is known.")
    worst_nusd = models.BigIntegerField(null=True)
    cost_nusd = models.BigIntegerField(null=True, help_text="Once it has ended: the sum of its requests' costs.")
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    cancelling_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(help_text="The end of its window: what is still queued then expires.")
    expires_at = models.DateTimeField(help_text="When its results are deleted.")
    runner = models.CharField(max_length=40, blank=True, default="", help_text="Who validates it.")
    lease_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "batches"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["validating", "in_progress", "cancelling", "completed", "failed", "expired", "cancelled"]),
                name="batch_state",
            ),
            models.CheckConstraint(
                condition=Q(total=F("queued") + F("running") + F("completed") + F("failed") + F("expired") + F("cancelled")),
                name="batch_counts_add_up",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["validating", "in_progress", "cancelling"]) | Q(queued=0, running=0, ended_at__isnull=False),
                name="batch_ended_has_no_open_line",
            ),
            models.CheckConstraint(condition=Q(pause_reason="") | Q(state="in_progress"), name="batch_paused_in_progress"),
            models.CheckConstraint(condition=Q(on_budget__in=["pause", "fail"]), name="batch_on_budget"),
            models.CheckConstraint(condition=Q(lane__in=["gateway", "provider"]), name="batch_lane"),
            models.UniqueConstraint(
                fields=["client_key", "idempotency_key"], condition=~Q(idempotency_key=""), name="batch_idempotency_key"
            ),
        ]
        indexes = [
            models.Index(fields=["client_key", "created_at"], name="batch_of_key"),
            models.Index(fields=["state"], name="batch_open", condition=Q(ended_at__isnull=True)),
            models.Index(fields=["expires_at"], name="batch_expires"),
            models.Index(fields=["webhook_due_at"], name="batch_webhook", condition=Q(webhook_due_at__isnull=False)),
        ]

    @override
    def __str__(self) -> str:
        return f"batch_{self.id.hex}"


class BatchLine(models.Model):
    """One request: where its text is in the batch's file. ``request_id`` is fixed before anything is sent and is the fence: who ends the
    line must still hold it. ``earlier_id``: the execution that died. ``shard``: the batch at a provider that it is in now; ``lane``
    ``gateway``: it is executed here although its batch is in the provider lane."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        EXPIRED = "expired"
        CANCELLED = "cancelled"

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="lines", db_index=False)
    number = models.PositiveIntegerField()
    custom_id = models.CharField(max_length=512)
    kind = models.CharField(max_length=20, help_text="chat, responses, embeddings, messages, generate, analyze …")
    model = models.CharField(max_length=200, blank=True, default="")
    offset = models.BigIntegerField()
    length = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    request_id = models.UUIDField(null=True)
    earlier_id = models.UUIDField(null=True)
    executions = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    runner = models.CharField(max_length=40, blank=True, default="")
    lease_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=40, blank=True, default="")
    result_bytes = models.PositiveIntegerField(null=True, help_text="Of its line in the file of results.")
    ended_at = models.DateTimeField(null=True)
    shard = models.ForeignKey("BatchShard", null=True, on_delete=models.SET_NULL, related_name="lines", db_index=False)
    lane = models.CharField(max_length=8, blank=True, default="")

    class Meta:
        ordering = ["batch", "number"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "completed", "failed", "expired", "cancelled"]), name="batch_line_state"
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(request_id__isnull=False, lease_until__isnull=False), name="batch_line_running_has_lease"
            ),
            models.CheckConstraint(condition=Q(executions__lte=MOST_EXECUTIONS), name="batch_line_executions"),
            models.UniqueConstraint(fields=["batch", "number"], name="batch_line_number"),
            models.UniqueConstraint(fields=["batch", "custom_id"], name="batch_line_custom_id"),
        ]
        indexes = [
            models.Index(fields=["batch", "number"], name="batch_line_queued", condition=Q(state="queued")),
            models.Index(fields=["lease_until"], name="batch_line_running", condition=Q(state="running")),
            models.Index(fields=["batch", "number"], name="batch_line_fallen", condition=Q(state="queued", lane="gateway")),
            models.Index(fields=["shard"], name="batch_line_of_shard", condition=Q(shard__isnull=False)),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.batch_id}: {self.number}"


class BatchResult(models.Model):
    """What a line was answered, sealed: the body as its dialect has it. One per line (BT2)."""

    line = models.OneToOneField(BatchLine, primary_key=True, on_delete=models.CASCADE, related_name="result")
    body = models.BinaryField()

    @override
    def __str__(self) -> str:
        return f"result of {self.line_id}"
