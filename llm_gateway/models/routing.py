"""Strategies as data, and who switched when."""

from __future__ import annotations

from django.conf import settings as django_settings
from django.db import models
from typing_extensions import override

from .catalogue_version import CatalogueModel


class Strategy(CatalogueModel):
    """A named configuration of a strategy file. At most one is active for the whole gateway."""

    name = models.SlugField(max_length=60, unique=True)
    kind = models.CharField(max_length=40, help_text="The strategy file.")
    title = models.CharField(max_length=100)
    settings = models.JSONField(default=dict, blank=True)
    active = models.BooleanField(default=False, editable=False)
    version = models.PositiveIntegerField(default=0, editable=False, help_text="The number of the policy version that it is now.")
    four_eyes = models.BooleanField(default=False, help_text="New settings need the approval of somebody other than their author.")
    revision = models.PositiveIntegerField(default=1, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "strategies"
        constraints = [models.UniqueConstraint(fields=["active"], condition=models.Q(active=True), name="one_active_strategy")]

    @override
    def __str__(self) -> str:
        return self.title


class StrategyActivation(models.Model):
    """History: this configuration was put in force by someone at some time. ``settings`` is what it was then."""

    strategy = models.ForeignKey(Strategy, on_delete=models.CASCADE, related_name="activations")
    settings = models.JSONField(default=dict)
    revision = models.PositiveIntegerField(default=1)
    version = models.PositiveIntegerField(default=0)
    previous = models.CharField(max_length=60, blank=True)
    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(django_settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    via = models.CharField(max_length=100, blank=True, help_text="admin, API key or command")

    class Meta:
        ordering = ["-at"]
        verbose_name = "switch of strategies"
        verbose_name_plural = "switch history"

    @override
    def __str__(self) -> str:
        return f"{self.strategy.name} at {self.at:%Y-%m-%d %H:%M}"
