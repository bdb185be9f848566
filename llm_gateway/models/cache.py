"""The answer cache: what operators said of it, what is kept, and when something of it was purged."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from typing_extensions import override

from llm_gateway.core.caching import LONGEST_S, SCOPES, SHORTEST_S

from .access import ClientKey, Team
from .catalogue_version import CatalogueModel
from .providers import Alias


class CacheRule(CatalogueModel):
    """One level's word: of a client key, of an alias, or, with neither, of the whole gateway."""

    class Switch(models.TextChoices):
        INHERIT = "", "as the level above"
        ON = "on", "on"
        OFF = "off", "off"

    class Semantic(models.TextChoices):
        OFF = "off", "off"
        SHADOW = "shadow", "shadow: measured, never served"
        ON = "on", "on"

    client_key = models.OneToOneField(
        ClientKey, null=True, blank=True, on_delete=models.CASCADE, related_name="cache_rule", help_text="Whose requests the rule is for."
    )
    alias = models.OneToOneField(
        Alias, null=True, blank=True, on_delete=models.CASCADE, related_name="cache_rule",
        help_text="The name whose requests it is for. With neither key nor alias it is for the whole gateway.",
    )  # fmt: skip
    switch = models.CharField("cache", max_length=3, blank=True, default="", choices=Switch.choices)
    chance = models.BooleanField(
        "answers with chance in them",
        default=False,
        help_text="Keep answers of requests without temperature 0 and without a seed, too: every caller then gets the first one again.",
    )
    shared = models.BooleanField(
        "shared in the team", default=False, help_text="All keys of a team share the answers of this alias. Never across teams."
    )
    ttl_s = models.PositiveIntegerField(
        "kept for seconds",
        null=True,
        blank=True,
        validators=[MinValueValidator(SHORTEST_S), MaxValueValidator(LONGEST_S)],
        help_text="60 to 2,592,000 (30 days). Empty: as the level above, at last one day.",
    )
    semantic = models.CharField(
        "nearly the same question", max_length=6, default=Semantic.OFF, choices=Semantic.choices,
        help_text="Answered with what was answered to it. On is refused until the shadow has measured enough right hits.",
    )  # fmt: skip
    seat = models.PositiveSmallIntegerField(default=0, editable=False, help_text="The same for all rules.")

    class Meta:
        ordering = ["id"]
        verbose_name = "cache rule"
        constraints = [
            models.CheckConstraint(condition=Q(client_key=None) | Q(alias=None), name="cache_rule_has_one_owner"),
            models.CheckConstraint(condition=~Q(alias=None) | Q(shared=False, semantic="off"), name="cache_rule_of_alias"),
            # Nulls are equal to nobody, so the gateway's own rule is held to one by a constant.
            models.UniqueConstraint(fields=["seat"], name="cache_rule_of_gateway", condition=Q(client_key=None, alias=None)),
        ]

    @override
    def __str__(self) -> str:
        if self.client_key is not None:
            return f"client key {self.client_key.name}"
        return f"alias {self.alias.name}" if self.alias is not None else "the gateway"


class CacheMeasure(models.Model):
    """Of one alias: how many hits on nearly the same question were judged, and how many of them were right."""

    alias = models.OneToOneField(Alias, on_delete=models.CASCADE, related_name="cache_measure")
    judged = models.PositiveIntegerField(default=0)
    right = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(right__lte=models.F("judged")), name="cache_measure_right")]

    @override
    def __str__(self) -> str:
        return f"{self.right} of {self.judged}"


class CachePurge(CatalogueModel):
    """When answers of a scope were purged last: what was made before is out of every worker's reach within two seconds."""

    scope = models.CharField(max_length=5, choices=[(scope, scope) for scope in SCOPES])
    whose = models.CharField(max_length=200, blank=True, default="", help_text="Id of a team or key, name of an alias or model.")
    at = models.FloatField(help_text="Unix seconds.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "whose"], name="cache_purge_scope")]

    @override
    def __str__(self) -> str:
        return f"{self.scope} {self.whose}".strip()


class CachedAnswer(models.Model):
    """One kept answer, encrypted. ``digest`` is a keyed digest of the request: from it nobody can tell what was asked."""

    digest = models.CharField(max_length=64, unique=True)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    client_key = models.ForeignKey(ClientKey, null=True, on_delete=models.CASCADE, related_name="+")
    request_id = models.UUIDField(db_index=True, help_text="The request it was made for.")
    asked_model = models.CharField(max_length=200, blank=True, default="")
    model_name = models.CharField(max_length=200)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    size = models.PositiveIntegerField(help_text="Bytes of the answer, packed.")
    ciphertext = models.TextField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["expires_at"], name="cached_answer_expires")]
        constraints = [models.CheckConstraint(condition=Q(expires_at__gt=models.F("made_at")), name="cached_answer_lives")]

    @override
    def __str__(self) -> str:
        return f"answer to {self.request_id}"

    @override
    def __repr__(self) -> str:
        return f"<CachedAnswer {self.pk}>"
