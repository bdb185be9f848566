"""Alerts, and the rules that raise them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from llm_gateway.actions._destinations import names_of
from llm_gateway.actions.events import events
from llm_gateway.actions.raise_alerts import mark_seen
from llm_gateway.actions.send_alerts import text_of
from llm_gateway.models import Alert, AlertRule

from ._base import GatewayAdmin, ReadOnlyAdmin
from ._show import BAD, GOOD, INFO, NONE, QUIET, WARN, ago, badge, badges, link
from .alert_destinations import environment

_TONE = {Alert.Kind.THRESHOLD: WARN, Alert.Kind.EXHAUSTED: BAD, Alert.Kind.TOO_SMALL: WARN, Alert.Kind.OVERRUN: BAD, Alert.Kind.EVENT: BAD}
MOST_BADGE = 99


def unseen(request: HttpRequest) -> str:
    """The badge in the menu: alerts that nobody has read. Empty: none."""
    if not request.user.has_perm("llm_gateway.view_alert"):
        return ""
    count = Alert.objects.filter(seen_at=None)[: MOST_BADGE + 1].count()
    return f"{MOST_BADGE}+" if count > MOST_BADGE else str(count or "")


class SeenFilter(admin.SimpleListFilter):
    title = "read"
    parameter_name = "seen"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "not read"), ("open", "going on"), ("yes", "read")]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "no":
                return queryset.filter(seen_at=None)
            case "yes":
                return queryset.exclude(seen_at=None)
            case "open":
                return queryset.filter(kind=Alert.Kind.EVENT, resolved_at=None)
        return queryset


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("when", "kind_badge", "what", "state", "requests", "told", "read_by")
    list_filter = (SeenFilter, ("kind", ChoicesDropdownFilter), ("rule", RelatedDropdownFilter))
    list_select_related = ("rule",)
    search_fields = ("budget_name", "period_id", "text", "event")
    fields = (
        "created_at", "kind_badge", "what", "state", "times", "last_at", "resolved_at", "requests", "told", "tries", "error", "read_by",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("mark_read",)
    empty_title = "No alerts"
    empty_hint = "Alert rules say what raises one; budgets alert at each of their percentages and when they refuse requests."

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing of an alert can be edited; whoever may change alerts may mark them as read."""
        return False

    def has_mark_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("llm_gateway.change_alert")

    @admin.action(description="Mark as read", permissions=["mark"])
    def mark_read(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        count = mark_seen(list(queryset.values_list("pk", flat=True)), request.user.get_username())
        messages.success(request, f"{count} alert{'s' if count != 1 else ''} marked as read.")

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [path("read/", wrap(require_POST(self.read_all_view)), name="llm_gateway_alert_read"), *super().get_urls()]

    def read_all_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_mark_permission(request):
            raise PermissionDenied
        count = mark_seen(list(Alert.objects.filter(seen_at=None).values_list("pk", flat=True)), request.user.get_username())
        messages.success(request, f"{count} alert{'s' if count != 1 else ''} marked as read.")
        return HttpResponseRedirect(self.list_url())

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        waiting = unseen(request) if self.has_mark_permission(request) else ""
        return super().changelist_view(request, {"unseen_alerts": waiting, **(extra_context or {})})

    list_before_template = "admin/llm_gateway/alerts_unread.html"

    @admin.display(description="when", ordering="created_at")
    def when(self, row: Alert) -> str:
        return ago(row.created_at)

    @admin.display(description="event", ordering="kind")
    def kind_badge(self, row: Alert) -> str:
        if row.kind == Alert.Kind.EVENT:
            return badge(events.get(row.event).title if row.event in events else row.event, BAD if row.resolved_at is None else QUIET)
        return badge(f"{row.threshold} %" if row.kind == Alert.Kind.THRESHOLD else row.kind, _TONE[Alert.Kind(row.kind)])

    @admin.display(description="what")
    def what(self, row: Alert) -> str:
        return format_html('<span class="cogo-wrap">{}</span>', text_of(row))

    @admin.display(description="state")
    def state(self, row: Alert) -> str:
        if row.kind != Alert.Kind.EVENT:
            return row.period_id or NONE
        if row.resolved_at is None:
            return badge("going on", BAD, f"seen last at {row.last_at:%H:%M} UTC" if row.last_at else "")
        return badge("over", QUIET, f"since {row.resolved_at:%Y-%m-%d %H:%M} UTC")

    @admin.display(description="requests")
    def requests(self, row: Alert) -> str:
        """What the budget refused on the day of the alert, for alerts of refusals."""
        if row.budget_id is None or row.kind not in (Alert.Kind.EXHAUSTED, Alert.Kind.TOO_SMALL):
            return NONE
        query = {"budget": row.budget_id, "day": f"{row.created_at:%Y-%m-%d}"}
        return link(f"{reverse('admin:llm_gateway_requestlog_changelist')}?{urlencode(query)}", "what it refused")

    @admin.display(description="delivered by")
    def told(self, row: Alert) -> str:
        if row.error:
            waits = row.error.startswith("waits")
            return badge("waits" if waits else "not delivered" if row.sent_at else "trying again", INFO if waits else BAD, row.error)
        return badge(", ".join(names_of(row.delivered)), GOOD) if row.delivered else NONE

    @admin.display(description="read")
    def read_by(self, row: Alert) -> str:
        return format_html("{}<span class='cogo-sub'>{}</span>", ago(row.seen_at), row.seen_by) if row.seen_at else badge("not read", WARN)


def _figure(event: str, name: str) -> str:
    return f"{event}__{name}"


class AlertRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """Each event's figures are fields of their own; a script shows those of the chosen one."""

    class Meta:
        model = AlertRule
        fields = ("event", "name", "enabled", "destinations", "environment", "urgent", "pause_min")
        help_texts = {"destinations": "Alert destinations hold them; without any, the console alone shows the alert."}  # noqa: RUF012
        widgets = {"destinations": UnfoldAdminCheckboxSelectMultipleWidget}  # noqa: RUF012

    class Media:
        js = ("llm_gateway/only_chosen.js",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "event" in self.fields:
            choices = [(name, f"{event.title}: {event.summary}") for name, event in events.items()]
            self.fields["event"] = forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget, label="Event")
        given = self.instance.settings if isinstance(self.instance.settings, dict) else {}
        for name, event in events.items():
            for figure in event.figures:
                if (field := self.fields.get(_figure(name, figure.name))) is not None:
                    field.widget.attrs |= {"data-only-for": f"event={name}"}
                    value = given.get(figure.name, figure.default) if self.instance.event == name else figure.default
                    self.initial[_figure(name, figure.name)] = value

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        name = cleaned.get("event") or self.instance.event
        if name in events:
            event = events.get(name)
            given = {f.name: cleaned.get(_figure(name, f.name)) for f in event.figures}
            asked = {key: value for key, value in given.items() if value is not None}
            try:
                self.instance.settings = event.settled(asked) if not self.errors else self.instance.settings
            except ValueError as error:
                self.add_error(None, str(error))
        return cleaned


_FIGURES = {
    _figure(name, figure.name): forms.IntegerField(
        label=figure.label, min_value=figure.least, max_value=figure.most, required=False, widget=UnfoldAdminIntegerFieldWidget
    )
    for name, event in events.items()
    for figure in event.figures
}
RuleForm = type("RuleForm", (AlertRuleForm,), dict(_FIGURES))


@admin.register(AlertRule)
class AlertRuleAdmin(GatewayAdmin):
    form = RuleForm
    list_display = ("name", "enabled", "event_shown", "figures_shown", "goes_to", "urgent", "state")
    list_editable = ("enabled",)
    list_filter = ("enabled", "urgent")
    search_fields = ("name", "event")
    empty_title = "No alert rules"
    empty_hint = "A rule says which event is told to which destinations. One per event comes with the gateway."

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("event_shown", "state") if obj else ()

    @override
    def get_fieldsets(self, request: HttpRequest, obj: AlertRule | None = None) -> Any:
        shown = [obj.event] if obj else list(events)
        figures = tuple(_figure(name, figure.name) for name in shown if name in events for figure in events.get(name).figures)
        first = ("event_shown", "name", "enabled", "state") if obj else ("event", "name", "enabled")
        sets: list[tuple[str | None, dict[str, Any]]] = [(None, {"fields": first})]
        if figures:
            sets.append(("When", {"fields": figures}))
        return [*sets, ("Who is told", {"fields": ("destinations", "environment", "urgent", "pause_min")})]

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRule]:
        return super().get_queryset(request).prefetch_related("destinations")

    @admin.display(description="event")
    def event_shown(self, row: AlertRule) -> str:
        if row.event not in events:
            return badge(row.event, WARN, "This version knows no such event.")
        event = events.get(row.event)
        return format_html('{}<span class="cogo-sub cogo-wrap">{}</span>', event.title, event.summary)

    @admin.display(description="when")
    def figures_shown(self, row: AlertRule) -> str:
        if row.event not in events:
            return NONE
        given = row.settings if isinstance(row.settings, dict) else {}
        return badges([f"{given.get(f.name, f.default):,} {f.name.replace('_', ' ')}" for f in events.get(row.event).figures])

    @admin.display(description="goes to")
    def goes_to(self, row: AlertRule) -> str:
        names = [one.name for one in row.destinations.all()]
        names += [f"{one['name']} (environment)" for one in environment() if row.environment]
        return ", ".join(names) or badge("the console only", QUIET)

    @admin.display(description="state")
    def state(self, row: AlertRule) -> str:
        if row.error:
            return badge("cannot be asked", BAD, row.error)
        if row.event in events and events.get(row.event).look is None:
            return badge("told by the journal", GOOD)
        return ago(row.looked_at) if row.looked_at else badge("not asked yet", QUIET)
