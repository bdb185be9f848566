"""Provider keys: pasted once, never shown again, checked at once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.widgets import UnfoldAdminPasswordWidget

from llm_gateway.core.keys import KeyState
from llm_gateway.models import DeploymentHealth, KeyCheck, ProviderKey

from . import _verbs
from ._base import GatewayAdmin, SliceInline
from ._keyset import KeysetAdmin
from ._show import NONE, ago, badge, button, key_badge, milliseconds, mono, nowrap

MAX_KEY = 4096


class ProviderKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """``new_key`` is write-only: it leaves the browser once and no page, log or message holds it afterwards."""

    new_key = forms.CharField(
        label="Paste the key",
        required=False,
        strip=True,
        max_length=MAX_KEY,
        widget=UnfoldAdminPasswordWidget(
            render_value=False, attrs={"autocomplete": "new-password", "spellcheck": "false", "placeholder": "Paste it here"}
        ),
        help_text="Stored encrypted and never shown again. It is checked with the provider as soon as you save.",
    )

    class Meta:
        model = ProviderKey
        fields = ("provider", "name", "enabled", "weight")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "new_key" in self.fields:
            self.fields["new_key"].label = "Replace the key"
            self.fields["new_key"].help_text = "Leave empty to keep the stored key."

    def clean_new_key(self) -> str:
        """Raises without repeating what was typed: messages are shown and logged."""
        key: str = self.cleaned_data["new_key"]
        try:
            return _verbs.clean_secret(key) if key else ""
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        provider = cleaned.get("provider") or (self.instance.provider if self.instance.provider_id else None)
        if (
            not cleaned.get("new_key")
            and not self.instance.pk
            and not self.errors
            and provider is not None
            and provider.service != "custom"
        ):
            self.add_error("new_key", f"{provider.title} needs a key; paste one.")
        return cleaned


class KeyCheckInline(SliceInline):
    model = KeyCheck
    verbose_name_plural = "latest checks"
    fields = ("when", "state_badge", "reason", "evidence", "took", "trigger")
    readonly_fields = fields
    rows = 10

    @admin.display(description="when")
    def when(self, row: KeyCheck) -> str:
        return ago(row.at)

    @admin.display(description="state")
    def state_badge(self, row: KeyCheck) -> str:
        return key_badge(row.state)

    @admin.display(description="took")
    def took(self, row: KeyCheck) -> str:
        return milliseconds(row.latency_ms)


@admin.register(ProviderKey)
class ProviderKeyAdmin(GatewayAdmin):
    form = ProviderKeyForm
    list_display = ("provider_title", "key", "state_badge", "reason_short", "hint_shown", "weight", "checked", "next_check", "check_button")
    list_filter = (("provider", RelatedDropdownFilter), ("state", ChoicesDropdownFilter), "enabled")
    search_fields = ("name", "provider__title", "provider__slug", "hint")
    list_select_related = ("provider",)
    ordering = ("provider__priority", "provider__slug", "name")
    actions = ("check_selected",)
    empty_title = "No provider keys yet"
    empty_hint = "Add a key to start sending requests. It is checked with the provider the moment you save it."
    change_form_outer_before_template = "admin/llm_gateway/provider_key_state.html"
    inlines = (KeyCheckInline,)
    add_fieldsets = ((None, {"fields": ("provider", "name", "new_key", "enabled", "weight")}),)
    fieldsets = (
        (None, {"fields": ("provider", "name", "hint_shown", "new_key", "enabled", "weight")}),
        ("Origin", {"fields": ("origin", "created_at"), "classes": ("collapse",)}),
    )

    @override
    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Checks and rests of a key are the gateway's own notes and go with it."""
        found, counts, missing, protected = super().get_deleted_objects(objs, request)
        return found, counts, missing - {str(model._meta.verbose_name) for model in (KeyCheck, DeploymentHealth)}, protected

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: ProviderKey | None = None) -> tuple[str, ...]:
        base = ("hint_shown", "origin", "created_at")
        return (*base, "provider") if obj else base

    @override
    def get_inlines(self, request: HttpRequest, obj: ProviderKey | None) -> Any:
        return self.inlines if obj else ()

    @override
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = extra_context or {}
        row = self.get_object(request, object_id) if object_id else None
        if row is not None:
            context |= {"key": row, **state_context(row), "may_check": self.has_change_permission(request, row)}
        return super().changeform_view(request, object_id, form_url, context)

    @override
    def save_model(self, request: HttpRequest, obj: ProviderKey, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        after_save(request, obj, form, created=not change)

    @override
    def response_add(self, request: HttpRequest, obj: ProviderKey, post_url_continue: str | None = None) -> HttpResponse:
        if "_popup" in request.POST or "_addanother" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        return HttpResponseRedirect(self.change_url(obj.pk))

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/check/", wrap(require_POST(self.check_view)), name="llm_gateway_providerkey_check"),
            path("<path:object_id>/state/", wrap(self.state_view), name="llm_gateway_providerkey_state"),
            path("<path:object_id>/cell/", wrap(self.cell_view), name="llm_gateway_providerkey_cell"),
            *super().get_urls(),
        ]

    def check_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.fetch(request, object_id)
        check_after_commit(request, [row.pk])
        return self.back(request, row.pk)

    def state_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The state panel alone: the page asks for it until the check has ended."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row):
            return HttpResponse(status=404)
        context = {"key": row, **state_context(row), "may_check": self.has_change_permission(request, row)}
        return TemplateResponse(request, "admin/llm_gateway/provider_key_state.html", context)

    def cell_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The state as the list shows it: a row asks for it until its check has ended, then the list is drawn again."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row):
            return HttpResponse(status=404)
        answer = HttpResponse(state_cell(row))
        if not state_context(row)["checking"]:
            # What else changed stands in other cells of the row.
            answer["HX-Refresh"] = "true"
        return answer

    @admin.action(description="Check the selected keys now", permissions=["change"])
    def check_selected(self, request: HttpRequest, queryset: QuerySet[ProviderKey]) -> None:
        check_after_commit(request, list(queryset.values_list("pk", flat=True)))

    @admin.display(description="key", ordering="name")
    def key(self, row: ProviderKey) -> str:
        return row.name

    @admin.display(description="provider", ordering="provider__title")
    def provider_title(self, row: ProviderKey) -> str:
        return nowrap(row.provider.title)

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: ProviderKey) -> str:
        return state_cell(row)

    @admin.display(description="reason")
    def reason_short(self, row: ProviderKey) -> str:
        return f"{row.reason[:80]}…" if len(row.reason) > 80 else row.reason or NONE

    @admin.display(description="stored key")
    def hint_shown(self, row: ProviderKey) -> str:
        return mono(row.hint) if row.hint else badge("none stored", "quiet")

    @admin.display(description="last check", ordering="checked_at")
    def checked(self, row: ProviderKey) -> str:
        return ago(row.checked_at) if row.checked_at else "never"

    @admin.display(description="next check", ordering="next_check_at")
    def next_check(self, row: ProviderKey) -> str:
        return ago(row.next_check_at)

    @admin.display(description="")
    def check_button(self, row: ProviderKey) -> str:
        return button(f"{reverse('admin:llm_gateway_providerkey_check', args=[row.pk])}?from_list=1", "Check now")

    @admin.display(description="origin")
    def origin(self, row: ProviderKey) -> str:
        return f"the environment variable {row.from_environment}" if row.from_environment else "pasted in the admin or by command"


@admin.register(KeyCheck)
class KeyCheckAdmin(KeysetAdmin):
    moment_field = "at"
    list_display = ("when", "key", "state_badge", "reason", "evidence_short", "took", "trigger")
    list_filter = (("provider_key__provider", RelatedDropdownFilter), "state", "trigger")
    list_select_related = ("provider_key__provider",)
    ordering = ("-id",)
    fields = ("at", "key", "state_badge", "reason", "evidence", "took", "trigger")
    readonly_fields = fields
    empty_title = "No key checks yet"
    empty_hint = "Every check of a provider key leaves a line here: what was found, and what the provider said."

    @admin.display(description="when", ordering="id")
    def when(self, row: KeyCheck) -> str:
        return ago(row.at)

    @admin.display(description="key")
    def key(self, row: KeyCheck) -> str:
        return str(row.provider_key)

    @admin.display(description="state")
    def state_badge(self, row: KeyCheck) -> str:
        return key_badge(row.state)

    @admin.display(description="the provider said")
    def evidence_short(self, row: KeyCheck) -> str:
        return f"{row.evidence[:90]}…" if len(row.evidence) > 90 else row.evidence or NONE

    @admin.display(description="took")
    def took(self, row: KeyCheck) -> str:
        return milliseconds(row.latency_ms)


def state_cell(row: ProviderKey) -> str:
    if not state_context(row)["checking"]:
        return key_badge(row.state, row.enabled)
    url = reverse("admin:llm_gateway_providerkey_cell", args=[row.pk])
    return format_html('<span hx-get="{}" hx-trigger="every 1500ms" hx-swap="outerHTML">{}</span>', url, badge("checking …", "info"))


def state_context(row: ProviderKey) -> dict[str, Any]:
    now = timezone.now()
    checking = bool(row.checking_until and row.checking_until > now)
    # A new secret is due at once; a check that nobody begins within a minute is not under way.
    since = max(row.created_at, row.next_check_at or row.created_at)
    waiting = row.state == KeyState.UNCHECKED and row.enabled and row.checked_at is None and 0 <= (now - since).total_seconds() < 60
    return {
        "state_badge": key_badge(row.state, row.enabled),
        "routable": row.enabled and KeyState(row.state).routable,
        "checking": checking or waiting,
        "last_check": ago(row.checked_at) if row.checked_at else "never",
        "next_check": ago(row.next_check_at),
    }


def after_save(request: HttpRequest, row: ProviderKey, form: Any, *, created: bool) -> None:
    """What follows the saving of a key row on any page: seal a pasted key, then check."""
    secret = form.cleaned_data.get("new_key") or ""
    if secret:
        _verbs.store_key(row, secret)
    if secret or created or "enabled" in form.changed_data:
        check_after_commit(request, [row.pk], "save")


def check_after_commit(request: HttpRequest, ids: list[int], trigger: str = "demand") -> None:
    """The check talks to a provider, so it waits until nothing is locked."""

    def run() -> None:
        try:
            done = _verbs.check_keys(ids, trigger)
        except Exception as error:  # whatever went wrong, the saved key stays saved and the operator hears of it
            messages.warning(
                request, f"The key could not be checked now ({type(error).__name__}); the next scheduled check will try again."
            )
            return
        if not done:
            messages.info(request, "The check is under way; its result appears here within seconds.")
            return
        for row in ProviderKey.objects.filter(pk__in=ids).select_related("provider"):
            level = messages.SUCCESS if row.state == KeyState.VALID else messages.WARNING
            messages.add_message(request, level, f"{row}: {row.get_state_display()}. {row.reason}".strip())

    transaction.on_commit(run)
