"""What happened: one row per authenticated request, one per upstream attempt, texts apart.

States: ``open`` → ``ok`` | ``partial`` | ``failed`` | ``client_cancelled`` | ``orphaned``; ``rejected`` and ``replayed`` rows are born
finished. An ``open`` row carries a lease; when it runs out the row is reaped to ``orphaned``. No other transition exists.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from typing_extensions import override

from llm_gateway.core.outcomes import RequestState

from .access import ClientKey, Team
from .money import Budget
from .providers import LanguageModel, Provider, ProviderKey

_TROUBLED = (
    Q(state="partial") | Q(state="failed") | Q(state="client_cancelled") | Q(state="rejected") | Q(state="orphaned") | Q(state="replayed")
)


class RequestLog(models.Model):
    """Narrow on purpose: it is the table that grows. The id is a time-ordered UUID, so its order is the order of arrival."""

    class State(models.TextChoices):
        OPEN = RequestState.OPEN
        OK = RequestState.OK
        PARTIAL = RequestState.PARTIAL
        FAILED = RequestState.FAILED
        CLIENT_CANCELLED = RequestState.CLIENT_CANCELLED
        REJECTED = RequestState.REJECTED
        ORPHANED = RequestState.ORPHANED
        REPLAYED = RequestState.REPLAYED

    id = models.UUIDField(primary_key=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=16, choices=State.choices)
    kind = models.CharField(max_length=16)
    dialect = models.CharField(max_length=20)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_key = models.ForeignKey(ClientKey, null=True, on_delete=models.PROTECT, related_name="requests", db_index=False)
    user_id = models.IntegerField(null=True, help_text="Staff who called from the browser.")
    address = models.CharField(
        max_length=45, null=True, help_text="Where the request came from, through the trusted proxies."
    )  # rows of before have none
    end_user = models.CharField(
        max_length=32, null=True, help_text="Whom the caller asked for, as a keyed pseudonym; the name itself is in the metadata."
    )  # rows of before have none, and none is kept where the team wants nothing kept
    asked_model = models.CharField(max_length=200, blank=True, default="")
    strategy = models.CharField(max_length=60, blank=True, default="")
    provider = models.ForeignKey(Provider, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False)
    model = models.ForeignKey(LanguageModel, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False)
    provider_slug = models.CharField(max_length=60, blank=True, default="")
    served_model = models.CharField(max_length=200, blank=True, default="", help_text="The model name the provider itself reported.")
    stream = models.BooleanField(default=False)
    simulated = models.BooleanField(default=False)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    http_status = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=40, blank=True, default="")
    finish_reason = models.CharField(max_length=20, blank=True, default="")
    flags = models.CharField(max_length=100, blank=True, default="", help_text="Words: empty, overrun, no_terminal, repaired …")
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cache_read_tokens = models.PositiveIntegerField(null=True)
    cache_write_tokens = models.PositiveIntegerField(null=True)
    cache_write_1h_tokens = models.PositiveIntegerField(null=True)
    reasoning_tokens = models.PositiveIntegerField(null=True)
    audio_input_tokens = models.PositiveIntegerField(null=True)
    audio_output_tokens = models.PositiveIntegerField(null=True)
    image_input_tokens = models.PositiveIntegerField(null=True)
    image_output_tokens = models.PositiveIntegerField(null=True)
    web_searches = models.PositiveIntegerField(null=True)
    service_tier = models.CharField(max_length=20, blank=True, default="", help_text="The tier that served, as the provider reported it.")
    usage_source = models.CharField(max_length=10, blank=True, default="")
    hold_nusd = models.BigIntegerField(default=0)
    cost_nusd = models.BigIntegerField(null=True, help_text="nano-USD; empty: unknown")
    price_id = models.BigIntegerField(null=True, help_text="The price row it was billed with.")
    latency_ms = models.PositiveIntegerField(null=True)
    ttft_ms = models.PositiveIntegerField(null=True)
    worker = models.CharField(max_length=40, blank=True, default="")
    lease_until = models.DateTimeField(null=True)
    tag = models.CharField(max_length=60, blank=True, default="")
    origin = models.CharField(max_length=8, null=True, help_text="live, batch, shadow, judge or embed; empty in rows of before: live.")
    batch_id = models.UUIDField(null=True, help_text="The batch of which it executed a line.")
    cache = models.CharField(
        max_length=8, null=True, help_text="hit, semantic, miss or bypass; empty: nobody wanted the cache."
    )  # rows of before have none
    saved_nusd = models.BigIntegerField(null=True, help_text="What an answer out of the cache would have cost at the prices of then.")
    decision = models.JSONField(null=True)
    metadata = models.JSONField(null=True)
    choice = models.TextField(null=True, editable=False)  # what a strategy decided by; null where none did
    policy = models.PositiveIntegerField(null=True, editable=False, help_text="The policy version that decided.")
    error_message = models.CharField(max_length=600, null=True, help_text="What the caller was told.")  # rows of before have none
    error_details = models.JSONField(null=True, help_text="The sums and times the caller was told.")
    refused_by = models.ForeignKey(
        Budget, null=True, on_delete=models.SET_NULL, related_name="refusals", db_index=False, db_constraint=False
    )

    class Meta:
        ordering = ["-id"]
        verbose_name = "request"
        permissions = (("spend_from_browser", "Can send requests that cost money from the browser"),)
        indexes = [
            models.Index(fields=["created_at"], name="request_created"),
            # With the id, which orders by arrival, a page of the list is a piece of the index and nothing is sorted.
            models.Index(fields=["client_key", "id"], name="request_of_client"),
            models.Index(fields=["model", "id"], name="request_of_model"),
            models.Index(fields=["lease_until"], name="request_open", condition=Q(state="open")),
            # A request that goes well never enters it. Spelled with OR: SQLite's planner does not see through IN.
            models.Index(fields=["state", "id"], name="request_troubled", condition=_TROUBLED),
            # The console searches by tag; most requests have none and are not in it.
            models.Index(fields=["tag", "id"], name="request_of_tag", condition=~Q(tag="")),
            # What a batch costs is the sum of its rows.
            models.Index(fields=["batch_id", "id"], name="request_of_batch", condition=Q(batch_id__isnull=False)),
            models.Index(fields=["end_user", "id"], name="request_of_end_user", condition=Q(end_user__isnull=False)),
            # What a budget refuses is counted while it is shown.
            models.Index(fields=["refused_by", "id"], name="request_refused_by", condition=Q(refused_by__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["open", "ok", "partial", "failed", "client_cancelled", "rejected", "orphaned", "replayed"]),
                name="request_state",
            ),
            models.CheckConstraint(condition=~Q(state="open") | Q(lease_until__isnull=False), name="request_open_has_lease"),
            models.CheckConstraint(condition=Q(state="open") | Q(finished_at__isnull=False), name="request_finished"),
            models.CheckConstraint(condition=Q(cost_nusd=None) | Q(cost_nusd__gte=0), name="request_cost_not_negative"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.id}"


class Attempt(models.Model):
    """One upstream call."""

    request = models.ForeignKey(RequestLog, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    provider = models.ForeignKey(Provider, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False)
    provider_slug = models.CharField(max_length=60)
    provider_key = models.ForeignKey(
        ProviderKey, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False
    )
    upstream_id = models.CharField(max_length=200)
    outcome = models.CharField(max_length=12, help_text="ok, failed, cancelled or partial")
    error_class = models.CharField(max_length=24, blank=True, default="")
    http_status = models.PositiveSmallIntegerField(null=True)
    detail = models.CharField(max_length=500, blank=True, default="", help_text="What the provider said, redacted.")
    upstream_request_id = models.CharField(max_length=100, blank=True, default="")
    started_at = models.DateTimeField()
    latency_ms = models.PositiveIntegerField(null=True)
    ttft_ms = models.PositiveIntegerField(null=True)
    bytes_received = models.BigIntegerField(default=0)
    streamed = models.BooleanField(default=False)
    billed = models.CharField(max_length=10, blank=True, default="", help_text="void, usage, estimate or hold")
    maybe_billed = models.BooleanField(default=False)
    cost_nusd = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["request", "number"]
        constraints = [models.UniqueConstraint(fields=["request", "number"], name="attempt_number")]
        # Support of a provider names its own id; the console searches by it.
        indexes = [models.Index(fields=["upstream_request_id"], name="attempt_upstream_id", condition=~Q(upstream_request_id=""))]

    @override
    def __str__(self) -> str:
        return f"{self.number}: {self.provider_slug} {self.outcome}"


class RequestBody(models.Model):
    """Prompt and answer, encrypted; kept only where the team asked for it and purgeable alone."""

    request = models.OneToOneField(RequestLog, primary_key=True, on_delete=models.CASCADE, related_name="body")
    created_at = models.DateTimeField()
    prompt = models.TextField(blank=True, default="")
    answer = models.TextField(blank=True, default="")

    class Meta:
        verbose_name_plural = "request bodies"

    @override
    def __str__(self) -> str:
        return f"texts of {self.request_id}"
