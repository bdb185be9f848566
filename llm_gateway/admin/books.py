"""Closed months: written by the gateway, to look at only."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html, format_html_join

from llm_gateway.core.money import format_usd
from llm_gateway.models import Statement

from ._base import ReadOnlyAdmin


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
