"""What is cooling, suspended or off, and heartbeats."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.contrib.filters.admin import RelatedDropdownFilter

from llm_gateway.models import DeploymentHealth, Heartbeat, Provider
from llm_gateway.policies.standing import Standing
from llm_gateway.telemetry import lately

from . import _verbs
from ._base import GatewayAdmin, ReadOnlyAdmin
from ._show import BAD, HEALTH_TONE, NONE, WARN, ago, badge, button

# A worker that has not been heard of for this long is shown as silent.
SILENT = timedelta(minutes=3)


@admin.register(DeploymentHealth)
class DeploymentHealthAdmin(GatewayAdmin):
    list_display = ("upstream_id", "key", "state_badge", "reason", "evidence_short", "since_shown", "until_shown", "clear_button")
    list_filter = ("state", ("provider_key__provider", RelatedDropdownFilter))
    list_select_related = ("provider_key__provider",)
    search_fields = ("upstream_id", "reason")
    actions = ("clear_selected",)
    warn_unsaved_form = False
    empty_title = "Nothing rests"
    empty_hint = "A model on a key that keeps failing is listed here while it rests, with the reason and the time it is tried again."
    list_before_template = "admin/llm_gateway/lately.html"
    fields = ("upstream_id", "key", "state_badge", "reason", "evidence", "since", "until", "version")
    readonly_fields = fields

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "lately": failing_lately()})

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: DeploymentHealth | None = None) -> bool:
        """Clearing is the one way to remove a row: it goes through the verb that tells the workers."""
        return False

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.clear_view))
        return [path("<path:object_id>/clear/", view, name="llm_gateway_deploymenthealth_clear"), *super().get_urls()]

    def clear_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.fetch(request, object_id)
        assert isinstance(row, DeploymentHealth)
        self.log_change(request, row, "Cleared.")
        _verbs.clear_health([row])
        messages.success(request, f"{row.upstream_id} is back in rotation; every worker knows within 2 seconds.")
        query = request.GET.copy()
        query["from_list"] = "1"
        request.GET = query  # type: ignore[assignment]  # Django itself only reads it
        return self.back(request, row.pk)

    @admin.action(description="Clear: back into rotation now", permissions=["change"])
    def clear_selected(self, request: HttpRequest, queryset: QuerySet[DeploymentHealth]) -> None:
        rows = list(queryset)
        for row in rows:
            self.log_change(request, row, "Cleared.")
        _verbs.clear_health(rows)
        messages.success(request, f"{len(rows)} back in rotation; every worker knows within 2 seconds.")

    @admin.display(description="key")
    def key(self, row: DeploymentHealth) -> str:
        return str(row.provider_key)

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: DeploymentHealth) -> str:
        return badge({"open": "cooling", "tripped": "breaker open"}.get(row.state, row.state), HEALTH_TONE.get(row.state, "quiet"))

    @admin.display(description="the provider said")
    def evidence_short(self, row: DeploymentHealth) -> str:
        return f"{row.evidence[:90]}…" if len(row.evidence) > 90 else row.evidence or NONE

    @admin.display(description="since", ordering="since")
    def since_shown(self, row: DeploymentHealth) -> str:
        return ago(row.since)

    @admin.display(description="tried again", ordering="until")
    def until_shown(self, row: DeploymentHealth) -> str:
        return ago(row.until) if row.until else "when cleared"

    @admin.display(description="")
    def clear_button(self, row: DeploymentHealth) -> str:
        return button(reverse("admin:llm_gateway_deploymenthealth_clear", args=[row.pk]), "Clear")


def failing_lately() -> dict[str, Any]:
    """What failed in the last minutes, whether or not a breaker opened; ``asked``: whether anything was asked of anybody."""
    found = lately.by_model()
    titles = dict(Provider.objects.values_list("pk", "title"))
    rows = [
        {"provider": titles.get(provider, "a deleted provider"), "id": provider, "model": model, "said": one.words,
         "tone": BAD if one.standing is Standing.FAILING else WARN, "standing": one.standing.value}
        for (provider, model), one in found.items() if one.standing in (Standing.FAILING, Standing.UNSTEADY)
    ]  # fmt: skip
    return {
        "rows": sorted(rows, key=lambda row: (row["tone"], row["provider"], row["model"])),
        "asked": sum(one.calls for one in found.values()),
    }


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "alive", "at_shown", "detail_shown")
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name", "at", "alive", "detail_shown")
    readonly_fields = fields
    empty_title = "No heartbeat yet"
    empty_hint = "Workers and scheduled jobs report here once they run."

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Heartbeat]:
        """What lives. The other rows are notes that jobs keep between their runs."""
        return super().get_queryset(request).filter(Q(name=_verbs.CLUSTER) | Q(name__startswith="worker"))

    @admin.display(description="state")
    def alive(self, row: Heartbeat) -> str:
        return badge("alive", "good") if row.at >= timezone.now() - SILENT else badge("silent", "warn")

    @admin.display(description="last heard of", ordering="at")
    def at_shown(self, row: Heartbeat) -> str:
        return ago(row.at)

    @admin.display(description="what it said")
    def detail_shown(self, row: Heartbeat) -> str:
        return ", ".join(f"{name}: {value}" for name, value in row.detail.items()) if isinstance(row.detail, dict) and row.detail else NONE
