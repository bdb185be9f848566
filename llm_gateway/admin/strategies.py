"""Strategies: which one is in force, switching in two clicks, and who switched when."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from msgspec import to_builtins
from typing_extensions import override
from unfold.contrib.filters.admin import RelatedDropdownFilter

from llm_gateway.core.roles import SWITCHES
from llm_gateway.models import Strategy, StrategyActivation
from llm_gateway.strategies import strategies

from . import _explain, _preview, _settings, _verbs
from ._base import GatewayAdmin, ReadOnlyAdmin
from ._show import NONE, ago, badge, button, link
from ._strategy_form import OTHER, SettingsOnly, StrategyForm, base_of, form_for
from .experiments import bars


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
    change_form_outer_after_template = "admin/llm_gateway/strategy_preview.html"

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Strategy | None = None) -> tuple[str, ...]:
        return ("name", "kind") if obj else ()

    @override
    def get_form(self, request: HttpRequest, obj: Strategy | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **{"form": self._form(request, obj), **kwargs})

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Strategy | None = None) -> Any:
        head = (None, {"fields": ("title", "name", *(("kind",) if obj is not None else ()), "four_eyes")})
        if obj is not None and not self.has_change_permission(request, obj):
            return (head,)  # the settings stand in the panel above
        form = self._form(request, obj)
        groups = [(title, {"fields": tuple(names)}) for title, names in form.made.groups()]
        if form.made.wants_json(obj.settings if obj else {}):
            groups.append(("Other settings", {"fields": (OTHER,)}))
        return (head, *groups)

    def _form(self, request: HttpRequest, obj: Strategy | None) -> type[StrategyForm]:
        """With the fields of the strategy's kind; of a new one, of the kind that was chosen."""
        kind = obj.kind if obj is not None else _asked(request)
        data = request.POST if request.method == "POST" else None
        found: type[StrategyForm] = form_for(kind, base_of(obj.settings if obj is not None else {}, kind, data))
        return found

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
            obj.settings = form.before
        elif change and form.settings_changed:
            obj.revision += 1
        super().save_model(request, obj, form, change)
        if change and obj.active and form.settings_changed:
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
            context["may_switch"] = self.has_change_permission(request, row)
            # Who may change them has them in the form.
            context["settings"] = () if context["may_switch"] else _settings.lines(row.settings)
            compared = _verbs.compare_arms(row)
            if compared is not None:
                context |= {"told": compared, "bars": bars([to_builtins(one) for one in compared.compared])}
            context["preview_url"] = reverse("admin:llm_gateway_strategy_preview") if context["may_switch"] else ""
            context["form_kind"] = row.kind
        elif object_id is None and self.has_add_permission(request):
            kind = _asked(request)
            if kind not in strategies:
                return self._choose_kind(request)
            context |= {
                "help": _preview.help_of(kind),
                "new_kind": kind,
                "form_kind": kind,
                "preview_url": reverse("admin:llm_gateway_strategy_preview"),
            }
        return super().changeform_view(request, object_id, form_url, context)

    def _choose_kind(self, request: HttpRequest) -> HttpResponse:
        """Before a new strategy has a form, somebody says what it is to be."""
        offered = [(name, one.title, one.summary) for name, one in strategies.items()]
        context = {**self.admin_site.each_context(request), "title": "Add a strategy", "opts": self.opts, "kinds": offered}
        return TemplateResponse(request, "admin/llm_gateway/strategy_kinds.html", context)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """A piece of the page: what the settings in the form would do. Reads only; nothing is saved."""
        if not self.has_change_permission(request) and not self.has_add_permission(request):
            raise PermissionDenied
        kind = request.POST.get("kind", "")
        if kind not in strategies:
            raise PermissionDenied
        context = _preview.tried(kind, form_for(kind, base_of({}, kind, request.POST), SettingsOnly), request.POST)
        return TemplateResponse(request, "admin/llm_gateway/strategy_tried.html", context)

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("preview/", wrap(require_POST(self.preview_view)), name="llm_gateway_strategy_preview"),
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


def _asked(request: HttpRequest) -> str:
    """The kind of a new strategy: the address says it, when its form is sent, too."""
    return request.GET.get("kind", "")


@admin.register(StrategyActivation)
class StrategyActivationAdmin(ReadOnlyAdmin):
    list_display = ("when", "strategy_shown", "settings_shown", "who", "via", "previous_shown", "restore_button")
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

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[StrategyActivation]:
        """With what the buttons depend on."""
        latest = StrategyActivation.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        rows: QuerySet[StrategyActivation] = super().get_queryset(request)
        return rows.annotate(latest=Value(latest), may_switch=Value(request.user.has_perm(SWITCHES)))

    @admin.display(description="settings")
    def settings_shown(self, row: StrategyActivation) -> str:
        return _settings.short(row.settings)

    @admin.display(description="took over from", ordering="previous")
    def previous_shown(self, row: StrategyActivation) -> str:
        return row.previous or NONE

    @admin.display(description="")
    def restore_button(self, row: Any) -> str:
        if row.pk == row.latest:
            return badge("in force", "good")
        if not row.may_switch:
            return ""
        return button(reverse("admin:llm_gateway_strategy_restore", args=[row.pk]), "Roll back to this")

    @admin.display(description="by")
    def who(self, row: StrategyActivation) -> str:
        return str(row.by) if row.by else "the gateway"
