"""Alerts and closed months: written by the gateway, to look at only."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from llm_gateway.actions.send_alerts import text_of
from llm_gateway.core.money import format_usd
from llm_gateway.models import Alert, Statement

from ._base import ReadOnlyAdmin
from ._show import BAD, GOOD, NONE, WARN, ago, badge, link

_TONE = {Alert.Kind.THRESHOLD: WARN, Alert.Kind.EXHAUSTED: BAD, Alert.Kind.TOO_SMALL: WARN, Alert.Kind.OVERRUN: BAD}


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("when", "budget_name", "period_id", "kind_badge", "what", "requests", "told")
    list_filter = ("kind",)
    search_fields = ("budget_name", "period_id")
    fields = ("created_at", "budget_name", "period_id", "kind_badge", "what", "requests", "told", "tries", "error")
    readonly_fields = fields
    empty_title = "No alerts"
    empty_hint = "A budget alerts once per period for each of its percentages, and when requests are refused."

    @admin.display(description="when", ordering="created_at")
    def when(self, row: Alert) -> str:
        return ago(row.created_at)

    @admin.display(description="kind", ordering="kind")
    def kind_badge(self, row: Alert) -> str:
        return badge(f"{row.threshold} %" if row.kind == Alert.Kind.THRESHOLD else row.kind, _TONE[Alert.Kind(row.kind)])

    @admin.display(description="what")
    def what(self, row: Alert) -> str:
        return text_of(row)

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
            return badge("not delivered" if row.sent_at else "trying again", BAD if row.sent_at else WARN, row.error)
        return badge(", ".join(row.delivered), GOOD) if row.delivered else NONE


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin):
    list_display = ("month", "team", "requests", "cost", "adjustments", "total", "closed_at")
    list_filter = ("team",)
    search_fields = ("month", "team__name")
    list_select_related = ("team",)
    fields = (
        "team", "month", "timezone", "start", "end", "requests", "unknown_cost_requests", "cost", "adjustments", "total", "closed_at",
        "closed_by", "table",
    )  # fmt: skip
    readonly_fields = fields
    empty_title = "No closed months"
    empty_hint = "Close a team's month with: manage.py close_month TEAM 2026-11 --close"

    @admin.display(description="cost", ordering="cost_nusd")
    def cost(self, row: Statement) -> str:
        return f"{format_usd(row.cost_nusd)} USD"

    @admin.display(description="adjustments", ordering="adjustments_nusd")
    def adjustments(self, row: Statement) -> str:
        return f"{'-' if row.adjustments_nusd < 0 else ''}{format_usd(abs(row.adjustments_nusd))} USD"

    @admin.display(description="total", ordering="total_nusd")
    def total(self, row: Statement) -> str:
        return f"{format_usd(row.total_nusd)} USD"

    @admin.display(description="lines")
    def table(self, row: Statement) -> str:
        lines = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            ((n["client_key"], n["provider"], n["model"], n["requests"], format_usd(n["cost_nusd"])) for n in row.lines),
        )
        head = format_html_join("", "<th>{}</th>", ((word,) for word in ("client key", "provider", "model", "requests", "USD")))
        return format_html('<table class="w-full text-left"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', head, lines)
