"""Providers with their keys."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from typing_extensions import override
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from llm_gateway.core.keys import KeyState
from llm_gateway.models import DeploymentHealth, KeyCheck, Price, Provider, ProviderKey, RequestLog
from llm_gateway.providers.presets import presets

from . import _verbs
from ._base import GatewayAdmin, RowsInline
from ._connect import NEEDS, ConnectPages
from ._facts import HostFactsField
from ._show import ago, badge, key_badge, link, mono
from .provider_keys import ProviderKeyForm, after_save

# No page lets anybody delete these by themselves.
WRITTEN_ALONG = frozenset(str(model._meta.verbose_name) for model in (KeyCheck, DeploymentHealth, Price))


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    base_url = forms.CharField(
        label="Base URL",
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        required=False,
        help_text="Without a trailing slash; for OpenAI-compatible hosts with its /v1. Empty: the preset's.",
    )
    facts = HostFactsField(label="Own habits")

    class Meta:
        model = Provider
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label, text in (
            ("service", "Type", "The service it is; custom fits every other host."),
            ("wire", "Format", "The API format it takes."),
        ):
            if name in self.fields:
                choices = [(n, n.replace("_", " ")) for n in _names(name)]
                initial = "custom" if name == "service" else "openai_chat"
                self.fields[name] = forms.ChoiceField(
                    label=label, choices=choices, initial=initial, widget=UnfoldAdminSelectWidget, help_text=text
                )

        if "preset" in self.fields:
            known = [("", "none"), *((one.name, one.title) for one in presets().values())]
            self.fields["preset"] = forms.ChoiceField(
                label="Known host", choices=known, required=False, widget=UnfoldAdminSelectWidget,
                help_text="What is known of this host applies: what it takes in a history, its limits, its fields.",
            )  # fmt: skip

    def clean_base_url(self) -> str:
        given: str = self.cleaned_data["base_url"]
        chosen = presets().get(str(self.data.get(self.add_prefix("preset"), "")))
        if not given and not (chosen and chosen.base_url):
            raise forms.ValidationError("Enter the host's address, or choose a known host that has one.")
        return given or (chosen.base_url if chosen else "")

    @override
    def clean(self) -> dict[str, Any]:
        """An address is asked about only when it changes: the name of a host need not resolve each time a priority is edited."""
        cleaned = super().clean() or {}
        if "base_url" in cleaned and {"base_url", "allow_private"} & set(self.changed_data):
            try:
                cleaned["base_url"] = _verbs.checked_base_url(cleaned["base_url"], bool(cleaned.get("allow_private")))
            except ValueError as error:
                self.add_error("base_url", str(error))
                return cleaned
            if (
                self.instance.pk
                and _moved(self.initial["base_url"], cleaned["base_url"])
                and self.instance.keys.exclude(ciphertext="").exists()
            ):
                said = "This leads to another host. Delete the stored keys first, so that none is sent there unasked; then add one."
                self.add_error("base_url", said)
        return cleaned

    @override
    def _get_validation_exclusions(self) -> set[str]:  # type: ignore[misc]  # private to Django, whose stubs leave it out
        # The verb's rule is the stricter one, and knows hosts without a dot.
        return {*super()._get_validation_exclusions(), "base_url"}  # type: ignore[misc]


class ProviderKeyInline(RowsInline):
    model = ProviderKey
    form = ProviderKeyForm
    fields = ("name", "new_key", "enabled", "weight", "state_badge", "checked")
    readonly_fields = ("state_badge", "checked")
    extra = 0
    show_change_link = True
    verbose_name_plural = "keys"

    @admin.display(description="state")
    def state_badge(self, row: ProviderKey) -> str:
        if row.pk is None:
            return badge("checked on save")
        return format_html("{} {}", key_badge(row.state, row.enabled), mono(row.hint) if row.hint else "")

    @admin.display(description="last check")
    def checked(self, row: ProviderKey) -> str:
        return ago(row.checked_at)


@admin.register(Provider)
class ProviderAdmin(ConnectPages, GatewayAdmin):
    form = ProviderForm
    list_display = ("title", "enabled", "priority", "keys_shown", "models_shown", "service_shown", "base_url", "marks")
    list_editable = ("enabled", "priority")
    list_filter = ("enabled", "simulated", "wire")
    search_fields = ("title", "slug", "base_url")
    inlines = (ProviderKeyInline,)
    list_before_template = "admin/llm_gateway/provider_connect_button.html"
    empty_title = "No providers yet"
    empty_hint = "Add the service you buy from, paste its key on the same page, and it is checked when you save."
    fieldsets = (
        (None, {"fields": ("title", "slug", "enabled", "priority", "weight")}),
        ("Connection", {"fields": ("preset", "service", "wire", "base_url", "allow_private", "ignore_health")}),
        ("Habits", {"fields": ("facts",), "classes": ("collapse",)}),
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
    def get_urls(self) -> list[URLPattern]:
        return [*self.connect_urls(), *super().get_urls()]

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"may_connect": request.user.has_perms(NEEDS), **(extra_context or {})})

    @override
    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else super().get_prepopulated_fields(request, obj)

    @override
    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What the gateway wrote about a provider goes with it. One that has served requests stays: they are billed with its prices."""
        found, counts, missing, protected = super().get_deleted_objects(objs, request)
        used = [row for row in objs if RequestLog.objects.filter(model__provider=row).exists()]
        protected = [*protected, *(f"Requests that {row.title} answered. Switch it off instead: it is asked nothing more." for row in used)]
        return found, counts, missing - WRITTEN_ALONG, protected

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        keys = Prefetch("keys", queryset=ProviderKey.objects.only("provider_id", "name", "state", "enabled", "hint"))
        rows: QuerySet[Provider] = super().get_queryset(request)
        return rows.annotate(model_count=Count("models", distinct=True)).prefetch_related(keys)

    @override
    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is ProviderKey:
            for key_form in formset.forms:
                if key_form.has_changed() and key_form not in formset.deleted_forms:
                    after_save(request, key_form.instance, key_form, created=key_form.instance in formset.new_objects)

    @override
    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "base_url":  # the list's form makes one before it drops it
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("slug",) if obj and _verbs.why_named(obj) else ()

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

    @admin.display(description="format", ordering="wire")
    def service_shown(self, row: Provider) -> str:
        return format_html('{}<span class="cogo-sub">{}</span>', row.wire.replace("_", " "), f"type: {row.service}")

    @admin.display(description="")
    def marks(self, row: Provider) -> str:
        return badge("simulated", "info", "Answers are not from real models.") if row.simulated else ""


def _names(kind: str) -> list[str]:
    if kind == "service":
        from llm_gateway.providers import services

        return sorted(services)
    from llm_gateway.wires import wires

    return sorted(name for name in wires if name != "native")


def _moved(before: str, after: str) -> bool:
    """Whether requests, and the key with them, would go to another host."""
    old, new = urlsplit(before), urlsplit(after)
    return (old.scheme, old.netloc.lower()) != (new.scheme, new.netloc.lower())
