"""Where alerts go: each destination with its secret, its quiet hours, and a button that sends a test."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.validators import validate_email
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.widgets import UnfoldAdminPasswordWidget

from llm_gateway.models import AlertDestination

from . import _verbs
from ._base import GatewayAdmin
from ._show import BAD, GOOD, NONE, QUIET, WARN, ago, badge
from .language_models import WordListField


def environment() -> list[dict[str, str]]:
    """The destinations of the environment variables, without secrets."""
    found = []
    if settings.COGO["mail"] and settings.COGO["alert_email"]:
        found.append({"name": "email", "where": settings.COGO["alert_email"], "variable": "COGO_ALERT_EMAIL"})
    if settings.COGO["alert_webhook_url"] and settings.COGO["alert_webhook_secret"]:
        host = urlsplit(settings.COGO["alert_webhook_url"]).hostname or ""
        found.append({"name": "webhook", "where": host, "variable": "COGO_ALERT_WEBHOOK_URL"})
    return found


class DestinationForm(forms.ModelForm):  # type: ignore[type-arg]
    addresses = WordListField(label="Mail addresses", required=False, help_text="With commas.")
    secret = forms.CharField(
        label="Secret",
        required=False,
        max_length=500,
        widget=UnfoldAdminPasswordWidget(render_value=False, attrs={"autocomplete": "new-password", "spellcheck": "false"}),
        help_text="What a webhook is signed with (16 characters or more), or the whole address of a Slack-compatible hook. Kept encrypted, "
        "never shown again.",
    )

    class Meta:
        model = AlertDestination
        fields = ("name", "kind", "addresses", "url", "allow_private", "enabled", "quiet_from", "quiet_until", "timezone")

    class Media:
        js = ("llm_gateway/only_chosen.js",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, kinds in {"addresses": "mail", "url": "webhook", "secret": "webhook,slack", "allow_private": "webhook,slack"}.items():
            if name in self.fields:
                self.fields[name].widget.attrs |= {"data-only-for": f"kind={kinds}"}
        if self.instance.pk and "secret" in self.fields:
            self.fields["secret"].label = "Replace the secret"
            self.initial["secret"] = ""

    def clean_timezone(self) -> str:
        name: str = self.cleaned_data["timezone"]
        if name not in available_timezones():
            raise forms.ValidationError("Write a time zone by its name, such as UTC or Europe/Berlin.")
        return name

    def clean_addresses(self) -> list[str]:
        for one in self.cleaned_data["addresses"]:
            validate_email(one)
        found: list[str] = self.cleaned_data["addresses"]
        return found

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind, secret = cleaned.get("kind"), cleaned.get("secret") or ""
        kept = bool(self.instance.ciphertext) and kind == self.initial.get("kind")
        private = bool(cleaned.get("allow_private"))
        if kind == AlertDestination.Kind.MAIL:
            cleaned["secret"] = ""
            if not cleaned.get("addresses") and "addresses" not in self.errors:
                self.add_error("addresses", "Enter at least one address.")
        elif not secret and not kept:
            self.add_error(
                "secret", "Enter the hook's address." if kind == "slack" else "Enter a secret; receivers check the signature with it."
            )
        elif kind == AlertDestination.Kind.SLACK and secret:
            self._address("secret", secret, private)
        elif kind == AlertDestination.Kind.WEBHOOK and 0 < len(secret) < 16:
            self.add_error("secret", "A secret has 16 characters or more.")
        if kind == AlertDestination.Kind.WEBHOOK:
            self._address("url", cleaned.get("url") or "", private)
        if (cleaned.get("quiet_from") is None) != (cleaned.get("quiet_until") is None):
            self.add_error("quiet_until", "Quiet hours have a beginning and an end; leave both empty for none.")
        return cleaned

    def _address(self, field: str, text: str, private: bool) -> None:
        parts = urlsplit(text) if text.isprintable() and " " not in text else urlsplit("")
        if parts.scheme not in (("https", "http") if private else ("https",)) or not parts.hostname:
            self.add_error(field, "Enter an address that begins with https://." if not private else "Enter an http:// or https:// address.")


@admin.register(AlertDestination)
class AlertDestinationAdmin(GatewayAdmin):
    form = DestinationForm
    list_display = ("name", "kind", "enabled", "where", "quiet", "rules_shown", "tested")
    list_filter = ("enabled", "kind")
    search_fields = ("name",)
    actions = None
    empty_title = "No destinations yet"
    empty_hint = "Where alerts go: mail, a signed webhook, or a Slack-compatible hook. Each has a button that sends a test."
    list_before_template = "admin/llm_gateway/alert_environment.html"
    change_form_outer_before_template = "admin/llm_gateway/alert_destination_state.html"
    fieldsets = (
        (None, {"fields": ("name", "kind", "enabled", "addresses", "url", "secret", "allow_private")}),
        ("Quiet hours", {"fields": (("quiet_from", "quiet_until"), "timezone"), "description": "What is not urgent waits until they end."}),
    )

    @override
    def save_model(self, request: HttpRequest, obj: AlertDestination, form: Any, change: bool) -> None:
        _verbs.save_destination(obj, form.cleaned_data.get("secret") or "")

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertDestination]:
        return super().get_queryset(request).prefetch_related("rules")

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        more = {"environment_destinations": environment(), "may_test": self.has_change_permission(request)}
        return super().changelist_view(request, {**more, **(extra_context or {})})

    @override
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = dict(extra_context or {})
        row = self.get_object(request, object_id) if object_id else None
        if row is not None:
            context |= {"destination": row, "tested": self.tested(row), "may_test": self.has_change_permission(request, row)}
        return super().changeform_view(request, object_id, form_url, context)

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("environment/<str:name>/test/", wrap(require_POST(self.test_environment_view)), name="llm_gateway_alert_environment_test"),
            path("<path:object_id>/test/", wrap(require_POST(self.test_view)), name="llm_gateway_alertdestination_test"),
            *super().get_urls(),
        ]

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.fetch(request, object_id)
        assert isinstance(row, AlertDestination)
        self._tell(request, row.name, _verbs.try_destination(row))
        self.log_change(request, row, "Sent a test.")
        return self.back(request, row.pk)

    def test_environment_view(self, request: HttpRequest, name: str) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        if name not in {one["name"] for one in environment()}:
            raise Http404
        self._tell(request, f"{name} of the environment", _verbs.try_environment_destination(name))
        return HttpResponseRedirect(self.list_url())

    def _tell(self, request: HttpRequest, name: str, problem: str) -> None:
        if problem:
            messages.error(request, f"The test did not arrive at {name}: {problem}.")
        else:
            messages.success(request, f"{name} took the test.")

    @admin.display(description="where")
    def where(self, row: AlertDestination) -> str:
        if row.kind == AlertDestination.Kind.MAIL:
            return ", ".join(map(str, row.addresses))
        return urlsplit(row.url).hostname or "" if row.url else badge("its address is its secret", QUIET)

    @admin.display(description="quiet hours")
    def quiet(self, row: AlertDestination) -> str:
        if row.quiet_from is None or row.quiet_until is None:
            return NONE
        return f"{row.quiet_from:%H:%M} to {row.quiet_until:%H:%M} {row.timezone}"

    @admin.display(description="rules")
    def rules_shown(self, row: AlertDestination) -> str:
        return ", ".join(rule.name for rule in row.rules.all()) or badge("no rule names it", WARN, "Choose it in an alert rule.")

    @admin.display(description="last test")
    def tested(self, row: AlertDestination) -> str:
        if row.tested_at is None:
            return badge("never tested", QUIET)
        return format_html(
            "{} {}", badge("did not arrive", BAD, row.test_error) if row.test_error else badge("arrived", GOOD), ago(row.tested_at)
        )
