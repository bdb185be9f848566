"""Strategies: which one is in force, switching in two clicks, and who switched when."""

from __future__ import annotations

import json as stdlib_json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from llm_gateway.core import json
from llm_gateway.models import Strategy, StrategyActivation

from . import _explain, _preview, _settings, _verbs
from ._base import GatewayAdmin, ReadOnlyAdmin
from ._show import ago, badge, link


class SettingsField(forms.JSONField):
    """JSON, indented; an empty field means no settings of one's own."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 6})

    @override
    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else stdlib_json.dumps(value, indent=2, ensure_ascii=False)

    @override
    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed is shown again as it was typed."""
        return data

    @override
    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.clean(data))
        except forms.ValidationError:
            return True

    @override
    def clean(self, value: Any) -> dict[str, Any]:
        if value in self.empty_values:
            return {}
        try:
            found = json.loads(str(value).encode())
        except json.InvalidJson as error:
            raise forms.ValidationError(f"Enter a valid JSON object: {error}.") from None
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise forms.ValidationError('Settings are one JSON object, such as {"sticky": true}.')
        return found


class StrategyForm(forms.ModelForm):  # type: ignore[type-arg]
    settings = SettingsField(
        required=False, help_text="Only what differs from the defaults. Changed settings of the active strategy apply within 2 seconds."
    )

    class Meta:
        model = Strategy
        fields = ("name", "title", "kind", "settings", "four_eyes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["kind"] = forms.ChoiceField(
                choices=_preview.kinds(), widget=UnfoldAdminSelectWidget, help_text="How candidates are ordered.", label="Kind"
            )

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind = cleaned.get("kind") or self.instance.kind
        if kind and "settings" in cleaned:
            try:
                cleaned["settings"] = _verbs.validate_settings(kind, cleaned["settings"])
            except ValueError as error:
                self.add_error("settings", str(error))
        return cleaned


@admin.register(Strategy)
class StrategyAdmin(GatewayAdmin):
    form = StrategyForm
    list_display = ("title_shown", "state_badge", "kind_shown", "settings_shown", "since", "switch_button")
    search_fields = ("name", "title")
    ordering = ("-active", "title")
    actions = None
    empty_title = "No strategies yet"
    empty_hint = "A strategy decides which model answers when a caller names none."
    change_form_outer_before_template = "admin/llm_gateway/strategy_state.html"
    fieldsets = ((None, {"fields": ("title", "name", "kind", "settings", "four_eyes")}),)

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Strategy | None = None) -> tuple[str, ...]:
        return ("name", "kind") if obj else ()

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Strategy]:
        return super().get_queryset(request).prefetch_related("activations__by")

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Strategy | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.active)

    @override
    def save_model(self, request: HttpRequest, obj: Strategy, form: Any, change: bool) -> None:
        """New settings of the strategy in force are an activation of their own: the history can show and restore them."""
        settings = obj.settings
        if change and obj.active:
            obj.settings = form.initial["settings"]
        elif change and "settings" in form.changed_data:
            obj.revision += 1
        super().save_model(request, obj, form, change)
        if change and obj.active and "settings" in form.changed_data:
            _verbs.activate_strategy(obj, request.user, settings)
            messages.info(request, "The new settings are in force in every worker within 2 seconds.")

    @override
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = extra_context or {}
        row = self.get_object(request, object_id) if object_id else None
        if isinstance(row, Strategy):
            context |= {"strategy": row, "state_badge": self.state_badge(row), "help": _preview.help_of(row.kind)}
            moments = row.activations.select_related("by").order_by("-at", "-pk")[:20]
            context["history"] = [(moment, _settings.short(moment.settings)) for moment in moments]
            context["settings"] = _settings.lines(row.settings)
            defaults = context["help"].get("defaults", ())
            context["defaults"] = [(str(name).replace("_", " "), _settings.brief(value)) for name, value in defaults]
            context["may_switch"] = self.has_change_permission(request, row)
        return super().changeform_view(request, object_id, form_url, context)

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("explain/", wrap(self.explain_view), name="llm_gateway_strategy_explain"),
            path("<path:object_id>/switch/", wrap(self.switch_view), name="llm_gateway_strategy_switch"),
            path("restore/<int:activation_id>/", wrap(require_POST(self.restore_view)), name="llm_gateway_strategy_restore"),
            *super().get_urls(),
        ]

    def explain_view(self, request: HttpRequest) -> HttpResponse:
        """What a request would do now. Reads only, so a link may ask."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {**self.admin_site.each_context(request), "title": "Explain a request", "opts": self.opts, **_explain.page(request.GET)}
        return TemplateResponse(request, "admin/llm_gateway/explain.html", context)

    def switch_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """First click: what would happen. Second click (POST): it does."""
        row = self.fetch(request, object_id)
        assert isinstance(row, Strategy)
        if request.method == "POST":
            try:
                _verbs.activate_strategy(row, request.user)
            except ValueError as error:
                messages.error(request, str(error))
            else:
                self.log_change(request, row, "Put in force.")
                messages.success(request, f"{row.title} is the strategy now; it is in force in every worker within 2 seconds.")
            return self.back(request, row.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Switch to {row.title}",
            "opts": self.opts,
            "strategy": row,
            "help": _preview.help_of(row.kind),
            "current": Strategy.objects.filter(active=True).first(),
            "preview": _preview.preview(row),
            "cancel_url": self.list_url(),
        }
        return TemplateResponse(request, "admin/llm_gateway/strategy_switch.html", context)

    def restore_view(self, request: HttpRequest, activation_id: int) -> HttpResponse:
        moment = StrategyActivation.objects.select_related("strategy").get(pk=activation_id)
        row = self.fetch(request, str(moment.strategy_id))
        try:
            _verbs.rollback_strategy(moment, request.user)
        except ValueError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, row, f"Rolled back to the settings of {moment.at:%Y-%m-%d %H:%M}.")
            messages.success(request, f"{moment.strategy.title} is in force again, as it was on {moment.at:%Y-%m-%d at %H:%M}.")
        return self.back(request, row.pk)

    @admin.display(description="strategy", ordering="title")
    def title_shown(self, row: Strategy) -> str:
        return format_html('{}<span class="cogo-sub">{}</span>', row.title, row.name)

    @admin.display(description="state", ordering="active")
    def state_badge(self, row: Strategy) -> str:
        return badge("in force", "good") if row.active else badge("not in force")

    @admin.display(description="how it orders", ordering="kind")
    def kind_shown(self, row: Strategy) -> str:
        return str(_preview.help_of(row.kind).get("summary", row.kind))

    @admin.display(description="settings")
    def settings_shown(self, row: Strategy) -> str:
        return _settings.short(row.settings)

    @admin.display(description="last put in force")
    def since(self, row: Strategy) -> str:
        last = max(row.activations.all(), key=lambda a: a.at, default=None)
        return format_html('{}<span class="cogo-sub">by {}</span>', ago(last.at), last.by or last.via or "the gateway") if last else "never"

    @admin.display(description="")
    def switch_button(self, row: Strategy) -> str:
        if row.active:
            return ""
        return format_html(
            '<a class="cogo-button" href="{}">Switch to this</a>', reverse("admin:llm_gateway_strategy_switch", args=[row.pk])
        )


@admin.register(StrategyActivation)
class StrategyActivationAdmin(ReadOnlyAdmin):
    list_display = ("when", "strategy_shown", "revision", "who", "via", "previous")
    list_filter = (("strategy", RelatedDropdownFilter),)
    list_select_related = ("strategy", "by")
    ordering = ("-at", "-id")
    fields = ("at", "strategy", "revision", "settings", "previous", "by", "via")
    readonly_fields = fields
    empty_title = "Nothing was switched yet"
    empty_hint = "Every switch of the strategy leaves a line here: who, when, and with which settings."

    @admin.display(description="when", ordering="at")
    def when(self, row: StrategyActivation) -> str:
        return ago(row.at)

    @admin.display(description="strategy")
    def strategy_shown(self, row: StrategyActivation) -> str:
        return link(reverse("admin:llm_gateway_strategy_change", args=[row.strategy_id]), row.strategy.title)

    @admin.display(description="by")
    def who(self, row: StrategyActivation) -> str:
        return str(row.by) if row.by else "the gateway"
