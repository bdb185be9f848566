"""Providers with their keys."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from typing_extensions import override
from unfold.admin import TabularInline

from llm_gateway.core.keys import KeyState
from llm_gateway.models import Provider, ProviderKey

from ._base import GatewayAdmin
from ._show import ago, badge, key_badge, link, mono
from .provider_keys import ProviderKeyForm, after_save


class ProviderKeyInline(TabularInline):
    model = ProviderKey
    form = ProviderKeyForm
    fields = ("name", "new_key", "enabled", "weight", "state_badge", "checked")
    readonly_fields = ("state_badge", "checked")
    extra = 0
    show_change_link = True
    verbose_name_plural = "keys"
    hide_title = True

    @admin.display(description="state")
    def state_badge(self, row: ProviderKey) -> str:
        if row.pk is None:
            return badge("checked on save")
        return format_html("{} {}", key_badge(row.state, row.enabled), mono(row.hint) if row.hint else "")

    @admin.display(description="last check")
    def checked(self, row: ProviderKey) -> str:
        return ago(row.checked_at)


@admin.register(Provider)
class ProviderAdmin(GatewayAdmin):
    list_display = ("title", "enabled", "priority", "keys_shown", "models_shown", "service_shown", "base_url", "marks")
    list_editable = ("enabled", "priority")
    list_filter = ("enabled", "simulated", "wire")
    search_fields = ("title", "slug", "base_url")
    inlines = (ProviderKeyInline,)
    empty_title = "No providers yet"
    empty_hint = "Add the service you buy from, paste its key on the same page, and it is checked when you save."
    fieldsets = (
        (None, {"fields": ("title", "slug", "enabled", "priority", "weight")}),
        ("Connection", {"fields": ("service", "wire", "base_url", "allow_private", "ignore_health")}),
        (
            "Timeouts",
            {
                "fields": (("connect_timeout_ms", "first_event_timeout_ms"), ("idle_timeout_ms", "total_timeout_ms")),
                "classes": ("collapse",),
                "description": "In milliseconds. Empty: the gateway's own defaults.",
            },
        ),
    )
    prepopulated_fields = {"slug": ("title",)}  # noqa: RUF012

    @override
    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else super().get_prepopulated_fields(request, obj)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        keys = Prefetch("keys", queryset=ProviderKey.objects.only("provider_id", "name", "state", "enabled", "hint"))
        return super().get_queryset(request).annotate(model_count=Count("models", distinct=True)).prefetch_related(keys)

    @override
    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is ProviderKey:
            for key_form in formset.forms:
                if key_form.has_changed() and key_form not in formset.deleted_forms:
                    after_save(request, key_form.instance, key_form, created=key_form.instance in formset.new_objects)

    @override
    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in ("service", "wire"):
            kwargs["widget"] = _choices(db_field.name)
        if db_field.name == "base_url":
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description="keys")
    def keys_shown(self, row: Provider) -> str:
        keys = list(row.keys.all())
        if not keys:
            return badge("no key", "warn")
        usable = [k for k in keys if k.enabled and KeyState(k.state).routable]
        best = min(keys, key=lambda k: (k not in usable, k.state != KeyState.VALID))
        url = f"{reverse('admin:llm_gateway_providerkey_changelist')}?provider__id__exact={row.pk}"
        return format_html(
            "{} {}", key_badge(best.state, best.enabled), link(url, f"{len(usable)} of {len(keys)} usable") if len(keys) > 1 else ""
        )

    @admin.display(description="models", ordering="model_count")
    def models_shown(self, row: Any) -> str:
        return link(f"{reverse('admin:llm_gateway_languagemodel_changelist')}?provider__id__exact={row.pk}", row.model_count)

    @admin.display(description="speaks", ordering="wire")
    def service_shown(self, row: Provider) -> str:
        return format_html('{}<span class="cogo-sub">{}</span>', row.wire.replace("_", " "), f"adapter: {row.service}")

    @admin.display(description="")
    def marks(self, row: Provider) -> str:
        return badge("simulated", "info", "Answers are not from real models.") if row.simulated else ""


def _choices(kind: str) -> Any:
    """A drop-down of what is installed."""
    from unfold.widgets import UnfoldAdminSelectWidget

    return UnfoldAdminSelectWidget(choices=[(name, name.replace("_", " ")) for name in _names(kind)])


def _names(kind: str) -> list[str]:
    if kind == "service":
        from llm_gateway.providers import services

        return sorted(services)
    from llm_gateway.wires import wires

    return sorted(name for name in wires if name != "native")
