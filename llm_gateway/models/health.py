"""What was learnt of keys, deployments and background work."""

from __future__ import annotations

from django.db import models
from typing_extensions import override

from .providers import ProviderKey


class KeyCheck(models.Model):
    """History of key checks, newest first; trimmed by a task."""

    provider_key = models.ForeignKey(ProviderKey, on_delete=models.CASCADE, related_name="checks")
    at = models.DateTimeField()
    state = models.CharField(max_length=20)
    reason = models.CharField(max_length=300, blank=True, default="")
    evidence = models.CharField(max_length=600, blank=True, default="")
    latency_ms = models.PositiveIntegerField(null=True)
    trigger = models.CharField(max_length=20, help_text="schedule, save, demand or traffic")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["provider_key", "-at"], name="key_check_recent")]

    @override
    def __str__(self) -> str:
        return f"{self.state} at {self.at:%Y-%m-%d %H:%M}"


class DeploymentHealth(models.Model):
    """A key × model that is cooling, suspended or off, so that a restart does not forget it. No row: healthy."""

    provider_key = models.ForeignKey(ProviderKey, on_delete=models.CASCADE, related_name="health")
    upstream_id = models.CharField(max_length=200)
    state = models.CharField(max_length=12, help_text="open, tripped, suspended or off")
    reason = models.CharField(max_length=300, blank=True, default="")
    evidence = models.CharField(max_length=600, blank=True, default="")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    version = models.BigIntegerField(default=1)

    class Meta:
        ordering = ["-since"]
        verbose_name = "deployment health"
        verbose_name_plural = "deployment health"
        constraints = [models.UniqueConstraint(fields=["provider_key", "upstream_id"], name="health_deployment")]

    @override
    def __str__(self) -> str:
        return f"{self.upstream_id}: {self.state}"


class Heartbeat(models.Model):
    """Last sign of life of a worker or a scheduled job."""

    name = models.CharField(max_length=80, unique=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["name"]

    @override
    def __str__(self) -> str:
        return self.name
