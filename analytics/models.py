"""Rollups of the request log: what reports read instead of it. Rebuilt from the log, never written by hand.

A rollup row is one combination of dimensions in one hour (or UTC day). Counts are of finished requests; an ``open`` one is in no row.
Latencies and times to first token are those of successful requests, so that fast failures flatter nobody.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from typing_extensions import override

# What rows of before origins were kept count as.
LIVE = "live"
ORIGINS = (LIVE, "batch", "shadow", "judge", "embed")
DIMENSIONS = ("team_id", "client_key_id", "provider", "model", "strategy", "tag", "kind", "simulated", "origin")
COUNTS = (
    "requests",
    "ok",
    "partial",
    "failed",
    "cancelled",
    "rejected",
    "orphaned",
    "replayed",
    "cached",
    "attempts",
    "estimated_requests",
    "unknown_cost_requests",
    "cost_nusd",
    "estimated_cost_nusd",
    "saved_nusd",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "latency_count",
    "latency_sum_ms",
    "ttft_count",
    "ttft_sum_ms",
    "adjustments",
    "adjustments_nusd",
)


def _count() -> models.BigIntegerField:  # type: ignore[type-arg]
    return models.BigIntegerField(default=0)


class Rollup(models.Model):
    """Names, not references: a report on last year survives the deletion of what it is about. ``client_key_id`` 0: staff.

    ``cached`` counts the answers out of the cache, which are in no other count of ends and in no latency; ``saved_nusd`` is what
    they would have cost. ``cost_nusd`` sums the known costs; ``unknown_cost_requests`` counts those that may have cost something nobody
    knows. Histograms are those of :mod:`analytics.histogram`, packed: reports read them by the thousand and nothing searches in them.
    ``adjustments_nusd`` sums
    the corrections booked in the hour, of whatever request. ``bands``: of long prompts, by the band of :data:`analytics.measures.BANDS`,
    requests and tokens; empty when there were none.
    """

    team_id = models.BigIntegerField()
    client_key_id = models.BigIntegerField(default=0)
    provider = models.CharField(max_length=60, blank=True, default="")
    model = models.CharField(max_length=200, blank=True, default="")
    strategy = models.CharField(max_length=60, blank=True, default="")
    tag = models.CharField(max_length=60, blank=True, default="")
    kind = models.CharField(max_length=16)
    simulated = models.BooleanField(default=False)
    origin = models.CharField(max_length=8, default="live", help_text="Who began them: live, batch, shadow, judge or embed.")

    requests = _count()
    ok = _count()
    partial = _count()
    failed = _count()
    cancelled = _count()
    rejected = _count()
    orphaned = _count()
    replayed = _count()
    cached = _count()
    attempts = _count()
    estimated_requests = _count()
    unknown_cost_requests = _count()
    cost_nusd = _count()
    estimated_cost_nusd = _count()
    saved_nusd = _count()
    input_tokens = _count()
    output_tokens = _count()
    cache_read_tokens = _count()
    cache_write_tokens = _count()
    cache_write_1h_tokens = _count()
    reasoning_tokens = _count()
    audio_input_tokens = _count()
    audio_output_tokens = _count()
    image_input_tokens = _count()
    image_output_tokens = _count()
    latency_count = _count()
    latency_sum_ms = _count()
    latency_square_sum = models.FloatField(default=0.0)
    latency_histogram = models.BinaryField(default=b"")
    ttft_count = _count()
    ttft_sum_ms = _count()
    ttft_histogram = models.BinaryField(default=b"")
    adjustments = _count()
    adjustments_nusd = _count()
    bands = models.JSONField(null=True)

    class Meta:
        abstract = True


class HourlyRollup(Rollup):
    hour = models.DateTimeField()

    class Meta:
        ordering = ["hour"]
        indexes = [models.Index(fields=["hour"], name="hourly_hour")]

    @override
    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h {self.provider} {self.model}"


class DailyRollup(Rollup):
    day = models.DateField()

    class Meta:
        ordering = ["day"]
        indexes = [models.Index(fields=["day"], name="daily_day")]

    @override
    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.provider} {self.model}"


class RollupState(models.Model):
    """How far the log is rolled up (one row). Every finished request that arrived before ``until`` is in the rollups, except those of the
    hours in ``pending`` (Unix hours that had an open request at the last run). ``generation`` is the claim of the newest run: an older one
    that is still at work stops at its next write."""

    until = models.DateTimeField()
    pending = models.JSONField(default=list)
    ran_at = models.DateTimeField(null=True)
    generation = models.BigIntegerField(default=0)

    @override
    def __str__(self) -> str:
        return f"rolled up to {self.until:%Y-%m-%d %H:%M}"


class SavedView(models.Model):
    """A choice of filters under a name, of one person. ``page``: the path it is of; ``query``: what stands behind its ``?``."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=40)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "page", "name"], name="saved_view_once")]

    @override
    def __str__(self) -> str:
        return self.name
