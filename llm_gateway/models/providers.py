"""Providers, their keys, their models, the names callers use, and prices."""

from __future__ import annotations

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from typing_extensions import override

from llm_gateway.core.catalog import Lifecycle
from llm_gateway.core.keys import KeyState

from .catalogue_version import CatalogueModel


class Provider(CatalogueModel):
    """A place that serves models. ``service`` names the provider file; for ``custom`` the row itself says wire and base URL."""

    slug = models.SlugField(max_length=60, unique=True, help_text="Its name in model names such as <code>slug/model-id</code>.")
    title = models.CharField(max_length=100)
    service = models.CharField(max_length=40, default="custom", help_text="Which provider adapter speaks to it.")
    wire = models.CharField(max_length=40, help_text="The API format it speaks.")
    preset = models.CharField(max_length=40, blank=True, default="", help_text="The known host whose habits apply.")
    facts = models.JSONField(default=dict, blank=True, help_text="What this host does its own way, over what its preset says.")
    base_url = models.URLField(max_length=300, help_text="Without a trailing slash; for OpenAI-compatible hosts with its /v1.")
    enabled = models.BooleanField(default=True)
    priority = models.PositiveIntegerField(default=100, help_text="Lower is tried first by the enterprise strategy.")
    weight = models.PositiveIntegerField(default=1, help_text="Share of requests under the weighted strategy.")
    allow_private = models.BooleanField(default=False, help_text="Admit a loopback or private address. Only for hosts you run yourself.")
    ignore_health = models.BooleanField(default=False, help_text="Stay in rotation whatever it answers.")
    simulated = models.BooleanField(default=False, editable=False)
    connect_timeout_ms = models.PositiveIntegerField(null=True, blank=True)
    first_event_timeout_ms = models.PositiveIntegerField(null=True, blank=True)
    idle_timeout_ms = models.PositiveIntegerField(null=True, blank=True)
    total_timeout_ms = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["priority", "slug"]

    @override
    def __str__(self) -> str:
        return self.title


class ProviderKey(CatalogueModel):
    """Our secret at a provider, as ciphertext. Nothing but the vault turns it back; ``hint`` is all that is ever shown."""

    volatile_fields = frozenset({"checked_at", "next_check_at", "reason", "evidence", "checking_until"})

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True, help_text="Bound into the ciphertext.")
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=100, default="default")
    ciphertext = models.TextField(editable=False, blank=True, default="")
    hint = models.CharField(max_length=12, editable=False, blank=True, default="", help_text="Last characters of the key.")
    from_environment = models.CharField(max_length=60, editable=False, blank=True, default="", help_text="The variable it was read from.")
    enabled = models.BooleanField(default=True)
    weight = models.PositiveIntegerField(default=1)
    state = models.CharField(
        max_length=20, choices=[(s.value, s.value.replace("_", " ")) for s in KeyState], default=KeyState.UNCHECKED, editable=False
    )
    reason = models.CharField(max_length=300, blank=True, default="", editable=False)
    evidence = models.CharField(max_length=600, blank=True, default="", editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    next_check_at = models.DateTimeField(null=True, editable=False)
    checking_until = models.DateTimeField(null=True, editable=False, help_text="Claim of the worker that checks it now.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["provider", "name"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "name"], name="provider_key_name"),
            models.CheckConstraint(condition=Q(state__in=[s.value for s in KeyState]), name="provider_key_state"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.provider.slug} · {self.name}"

    @override
    def __repr__(self) -> str:
        return f"<ProviderKey {self.pk}>"


class LanguageModel(CatalogueModel):
    """A model at a provider. ``edited`` marks what an operator changed: catalogue loads leave it alone."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="models")
    name = models.CharField(max_length=200, unique=True, help_text="What callers say. Unique over all providers.")
    upstream_id = models.CharField(max_length=200, help_text="What the provider calls it. May hold <code>*</code> on custom providers.")
    title = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    auto = models.BooleanField("may serve auto", default=True, help_text="May be chosen when the caller names no model.")
    position = models.PositiveIntegerField(default=100, help_text="Lower is preferred among the models of one provider.")
    lifecycle = models.CharField(max_length=12, choices=[(s.value, s.value) for s in Lifecycle], default=Lifecycle.ACTIVE)
    retires_on = models.DateField(null=True, blank=True)
    successor = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="predecessors")
    context_window = models.PositiveIntegerField(null=True, blank=True, help_text="Tokens.")
    max_output_tokens = models.PositiveIntegerField(null=True, blank=True)
    capabilities = models.JSONField(default=list, blank=True, help_text='For example ["tools", "images", "json_schema"].')
    facts = models.JSONField(default=dict, blank=True, help_text="What this model does its own way, over what its provider says.")
    source = models.CharField(max_length=40, default="operator", editable=False)
    edited = models.BooleanField(default=False, editable=False)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["provider__priority", "position", "name"]
        verbose_name = "model"
        constraints = [models.UniqueConstraint(fields=["provider", "upstream_id"], name="model_upstream_id")]

    @override
    def __str__(self) -> str:
        return self.name


class Alias(CatalogueModel):
    """A name callers use for a model; further targets are a fallback list the operator wrote."""

    name = models.CharField(max_length=200, unique=True)
    enabled = models.BooleanField(default=True)
    note = models.CharField(max_length=300, blank=True)
    source = models.CharField(max_length=40, default="operator", editable=False)
    edited = models.BooleanField(default=False, editable=False)
    models = models.ManyToManyField(LanguageModel, through="AliasTarget", related_name="aliases")

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "aliases"

    @override
    def __str__(self) -> str:
        return self.name


class AliasTarget(CatalogueModel):
    alias = models.ForeignKey(Alias, on_delete=models.CASCADE, related_name="targets")
    model = models.ForeignKey(LanguageModel, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["alias", "model"], name="alias_target_once")]

    @override
    def __str__(self) -> str:
        return f"{self.alias.name} → {self.model.name}"


def _usd(help_text: str = "", null: bool = True) -> models.DecimalField:  # type: ignore[type-arg]
    return models.DecimalField(
        max_digits=14, decimal_places=6, null=null, blank=null, validators=[MinValueValidator(0)], help_text=help_text
    )


class Price(CatalogueModel):
    """USD per 1,000,000 tokens, from a date and a prompt size on. Never edited once a request was billed with it: a new row takes over."""

    model = models.ForeignKey(LanguageModel, on_delete=models.CASCADE, related_name="prices")
    effective_from = models.DateTimeField()
    min_prompt_tokens = models.PositiveIntegerField(default=0, help_text="The band begins at this prompt size (cache included).")
    tier = models.CharField(max_length=20, default="standard")
    input = _usd(null=False)
    output = _usd(null=False)
    cache_read = _usd()
    cache_write = _usd("Cache write, 5 minutes.")
    cache_write_1h = _usd("Cache write, 1 hour.")
    reasoning = _usd("Only where reasoning is billed apart from output.")
    audio_input = _usd()
    audio_output = _usd()
    image_input = _usd()
    image_output = _usd()
    request = _usd("USD per request.")
    web_search = _usd("USD per search.")
    source = models.CharField(max_length=80, default="operator", help_text="Where the figures come from.")
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["model", "tier", "-effective_from", "min_prompt_tokens"]
        constraints = [
            models.UniqueConstraint(fields=["model", "tier", "effective_from", "min_prompt_tokens"], name="price_once"),
            models.CheckConstraint(condition=Q(input__gte=0) & Q(output__gte=0), name="price_not_negative"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.model.name} from {self.effective_from:%Y-%m-%d}: {self.input.normalize():f} / {self.output.normalize():f}"
