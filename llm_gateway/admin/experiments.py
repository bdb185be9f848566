"""Experiments in the console: plan, start, see what is certain and what is not, stop."""

from __future__ import annotations

import csv
import io
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from llm_gateway.core.roles import SWITCHES
from llm_gateway.core.spreadsheet import defused
from llm_gateway.models import Experiment, Strategy
from llm_gateway.policies.experiments import METRICS

from . import _verbs
from ._base import GatewayAdmin
from ._show import ago, badge

_TONES = {"better": "good", "worse": "warn", "equivalent": "info", "invalid": "bad"}
_WIDTH = 320


class ExperimentForm(forms.ModelForm):  # type: ignore[type-arg]
    metric = forms.ChoiceField(choices=[(name, name) for name in METRICS], widget=UnfoldAdminSelectWidget)
    guardrails = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget, help_text="Metrics that must not get worse, with commas: cost, latency."
    )
    strategy = forms.ModelChoiceField(queryset=Strategy.objects.filter(kind="ab-testing"), widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Experiment
        fields = ("name", "hypothesis", "strategy", "unit", "metric", "guardrails", "minimal_effect", "ends_at", "stops_itself")

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        names = [name.strip() for name in str(cleaned.get("guardrails") or "").split(",") if name.strip()]
        try:
            _verbs.check_plan(names, cleaned.get("minimal_effect"), cleaned.get("ends_at"))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        cleaned["guardrails"] = names
        return cleaned


@admin.register(Experiment)
class ExperimentAdmin(GatewayAdmin):
    form = ExperimentForm
    list_display = ("name", "state_badge", "verdict_badge", "sentence", "metric", "unit", "begun")
    list_filter = ("state",)
    list_select_related = ("strategy",)
    search_fields = ("name",)
    actions = None
    empty_title = "No experiments yet"
    empty_hint = "Plan one: two arms of an A/B strategy, one metric. It says when something is certain, however often you look."
    change_form_outer_before_template = "admin/llm_gateway/experiment.html"

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is not None else super().get_fieldsets(request, obj)

    @override
    def save_model(self, request: HttpRequest, obj: Experiment, form: Any, change: bool) -> None:
        obj.author = request.user  # type: ignore[assignment]
        obj.via = "admin"
        super().save_model(request, obj, form, change)

    @override
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = extra_context or {}
        row = self.get_object(request, object_id) if object_id else None
        if isinstance(row, Experiment):
            figures = row.figures or {}
            context |= {
                "experiment": row,
                "title": row.name,
                "state_badge": self.state_badge(row),
                "verdict_badge": self.verdict_badge(row),
                "arms": figures.get("arms") or [],
                "bars": bars(figures.get("compared") or []),
                "warnings": figures.get("warnings") or [],
                "narrowed": [(name, round(share * 100)) for name, share in (figures.get("narrowed") or {}).items() if share >= 0.01],
                "srm": figures.get("srm"),
                "verdicts": row.verdicts.all()[:20],
                "may_switch": request.user.has_perm(SWITCHES),
                "metrics": [row.metric, *(name for name in row.guardrails if name != row.metric)],
            }
        return super().changeform_view(request, object_id, form_url, context)

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/start/", wrap(require_POST(self.start_view)), name="llm_gateway_experiment_start"),
            path("<path:object_id>/stop/", wrap(require_POST(self.stop_view)), name="llm_gateway_experiment_stop"),
            path("<path:object_id>/figures.csv", wrap(self.csv_view), name="llm_gateway_experiment_csv"),
            *super().get_urls(),
        ]

    def start_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._do(request, object_id, _verbs.start_experiment, "It has begun; its plan is frozen.", "Started.")

    def stop_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._do(request, object_id, _verbs.stop_experiment, "It has ended; the strategy stays in force.", "Stopped.")

    def _do(self, request: HttpRequest, object_id: str, verb: Any, says: str, noted: str) -> HttpResponse:
        row = self.get_object(request, object_id)
        if not isinstance(row, Experiment) or not request.user.has_perm(SWITCHES):
            raise PermissionDenied
        try:
            verb(row, request.user)
        except ValueError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, row, noted)
            messages.success(request, says)
        return HttpResponseRedirect(self.change_url(row.pk))

    def csv_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.get_object(request, object_id)
        if not isinstance(row, Experiment) or not self.has_view_permission(request, row):
            raise PermissionDenied
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["arm", "units", "requests", "metric", "mean", "difference", "low", "high"])
        figures = row.figures or {}
        found = {(one["metric"], one["arm"]): one for one in figures.get("compared") or []}
        for arm in figures.get("arms") or []:
            for metric, mean in arm["means"].items():
                one = found.get((metric, arm["arm"]), {})
                cells = [arm["arm"], arm["units"], arm["requests"], metric, mean, one.get("difference"), one.get("low"), one.get("high")]
                writer.writerow([defused(cell) if isinstance(cell, str) else cell for cell in cells])
        answer = HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="experiment-{row.pk}.csv"'
        return answer

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: Experiment) -> str:
        return badge(row.state, "info" if row.state == "running" else "quiet")

    @admin.display(description="verdict", ordering="verdict")
    def verdict_badge(self, row: Experiment) -> str:
        return badge(row.verdict, _TONES.get(row.verdict, "quiet"))

    @admin.display(description="begun", ordering="started_at")
    def begun(self, row: Experiment) -> str:
        return ago(row.started_at) if row.started_at else "—"


def bars(compared: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each interval as places on a line of :data:`_WIDTH` points with 0 in its middle; each metric has its own scale."""
    found = []
    for one in compared:
        if one["low"] is None or one["high"] is None:
            continue
        same = [other for other in compared if other["metric"] == one["metric"] and other["low"] is not None]
        most = max((max(abs(other["low"]), abs(other["high"])) for other in same), default=0) or 1.0

        def at(value: float, most: float = most) -> float:
            return round(_WIDTH / 2 + value / most * (_WIDTH / 2 - 4), 1)

        low, high = at(one["low"]), at(one["high"])
        better = METRICS[one["metric"]].better
        tone = "good" if one["low"] * better > 0 and one["high"] * better > 0 else "bad" if one["low"] * one["high"] > 0 else "quiet"
        found.append(
            {
                "metric": one["metric"],
                "arm": one["arm"],
                "x": low,
                "width": max(1.0, round(high - low, 1)),
                "middle": at(one["difference"]),
                "zero": _WIDTH / 2,
                "tone": tone,
                "text": f"{one['difference']:+.4g} ({one['low']:+.4g} to {one['high']:+.4g}) {METRICS[one['metric']].unit}",
            }
        )
    return found
