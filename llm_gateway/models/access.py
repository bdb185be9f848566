"""Who may call, and who pays."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from typing_extensions import override

from llm_gateway.core.catalog import BodyLogging

from .catalogue_version import CatalogueModel


class Team(CatalogueModel):
    """The tenant: owns client keys, pays for their requests, decides what is kept of them."""

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    enabled = models.BooleanField(default=True)
    bodies = models.CharField(
        "prompts and answers",
        max_length=10,
        choices=[(b.value, b.value) for b in BodyLogging],
        default=BodyLogging.METADATA,
        help_text="What is kept: off and metadata keep no text, full keeps prompt and answer encrypted.",
    )
    retention_days = models.PositiveIntegerField(null=True, blank=True, help_text="Of requests. Empty: the gateway's own setting.")
    text_retention_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of prompts and answers, where they go earlier. Empty: the gateway's own setting."
    )
    timezone = models.CharField(max_length=60, default="UTC", help_text="Budget periods and statements follow it.")
    alert_email = models.EmailField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    @override
    def __str__(self) -> str:
        return self.name


class ClientKey(CatalogueModel):
    """A caller's secret at our gateway: only its public id and a keyed digest are stored."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="client_keys")
    name = models.CharField(max_length=100)
    public_id = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    scopes = models.JSONField(default=list, help_text="generate, analyze, read, manage")
    models_allowed = models.JSONField(default=list, blank=True, help_text="Models, aliases, PROVIDER/ID or patterns; empty: all.")
    strategy = models.ForeignKey("Strategy", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    max_tokens = models.PositiveIntegerField(null=True, blank=True, help_text="Ceiling for the answer of one request.")
    max_concurrency = models.PositiveIntegerField(null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of prompts and answers together; a request is counted by its estimate until it ends."
    )
    allow_unpriced = models.BooleanField(default=False, help_text="May use models whose price is unknown, at the gateway's ceiling price.")
    addresses = models.JSONField(default=list, blank=True, help_text="Addresses and networks it may be used from; empty: any.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+")

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="client_key_name")]

    @override
    def __str__(self) -> str:
        return f"{self.name} (cogo_{self.public_id}_…)"

    @override
    def __repr__(self) -> str:
        return f"<ClientKey {self.public_id}>"


class ReplacedKey(CatalogueModel):
    """A text that a client key had before it was rolled. It opens the same key until ``dies_at``: same team, budgets, limits, history."""

    client_key = models.ForeignKey(ClientKey, on_delete=models.CASCADE, related_name="replaced")
    public_id = models.CharField(max_length=12, unique=True)
    digest = models.BinaryField(max_length=32)
    replaced_at = models.DateTimeField()
    dies_at = models.DateTimeField()

    class Meta:
        ordering = ["-replaced_at", "-id"]
        constraints = [models.CheckConstraint(condition=models.Q(dies_at__gte=models.F("replaced_at")), name="replaced_key_dies_later")]

    @override
    def __str__(self) -> str:
        return f"cogo_{self.public_id}_…"
