"""Whose answers' code is looked at, and by what."""

from __future__ import annotations

from django.contrib import admin, messages
from django.http import HttpRequest
from django.http.response import HttpResponse
from typing_extensions import override

from llm_gateway.models import JudgeRule, QualityRule
from llm_gateway.probes.present import present

from ._base import GatewayAdmin
from ._show import NONE


@admin.register(QualityRule)
class QualityRuleAdmin(GatewayAdmin):
    list_display = ("who", "share_shown", "lint", "complexity")
    list_select_related = ("team",)
    list_filter = ("lint", "complexity")
    autocomplete_fields = ("team",)
    empty_title = "Only the structure of answers is looked at"
    empty_hint = "Add a rule without a team to look at the code of everybody's answers, or one for a team."
    fieldsets = (
        (None, {"fields": ("team", "share"), "description": "A rule without a team is for every team that has none of its own."}),
        ("Tools", {"fields": ("lint", "complexity"), "description": "Structure and syntax are always looked at."}),
    )

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        missing = {"lint": "ruff", "complexity": "lizard"}
        absent = [
            tool for column, tool in missing.items() if tool not in present() and QualityRule.objects.filter(**{column: True}).exists()
        ]
        if absent:
            messages.warning(request, f"Switched on and not installed: {', '.join(absent)}. Run make install-quality and restart.")
        return super().changelist_view(request, extra_context)

    @admin.display(description="team", ordering="team__name")
    def who(self, row: QualityRule) -> str:
        return str(row)

    @admin.display(description="code looked at", ordering="share")
    def share_shown(self, row: QualityRule) -> str:
        return f"{row.share} % of answers" if row.share else NONE


@admin.register(JudgeRule)
class JudgeRuleAdmin(GatewayAdmin):
    list_display = ("team", "enabled", "share_shown", "model", "client_key")
    list_select_related = ("team", "client_key")
    list_filter = ("enabled",)
    autocomplete_fields = ("team", "client_key")
    empty_title = "No model judges answers"
    empty_hint = (
        "Add a rule for a team: another model is asked twice about a share of its answers, and a key with a budget of its own pays."
    )
    fieldsets = (
        (None, {"fields": ("team", "enabled", "share")}),
        (
            "Who judges and who pays",
            {
                "fields": ("model", "client_key"),
                "description": "The judge reads what callers asked and were answered, at its provider. Answers of that provider's own "
                "models are not judged, and nothing is routed by what a judge says.",
            },
        ),
    )

    @admin.display(description="judged", ordering="share")
    def share_shown(self, row: JudgeRule) -> str:
        return f"{row.share} % of answers"
