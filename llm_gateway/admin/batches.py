"""Batches as they run: progress, pace, estimate against cost, why one is paused, errors by code, cancel and retry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.contrib.filters.admin import RelatedDropdownFilter

from llm_gateway.core.errors import GatewayError
from llm_gateway.core.roles import READS_TEXTS
from llm_gateway.models import Batch, BatchLine

from . import _verbs
from ._base import GatewayAdmin
from ._batch_upload import BatchUploads
from ._show import BAD, GOOD, INFO, NONE, QUIET, WARN, ago, badge, button, link, usd

_TONE = {
    "validating": INFO, "in_progress": INFO, "cancelling": QUIET, "completed": GOOD, "failed": BAD, "expired": WARN, "cancelled": QUIET,
}  # fmt: skip
# Lines a second are those of so long ago until now.
_LATELY = timedelta(seconds=30)
_SEES_MONEY = "llm_gateway.view_ledgerentry"


@admin.register(Batch)
class BatchAdmin(BatchUploads, GatewayAdmin):
    list_display = ("id_short", "title", "key_name", "dialect", "state_badge", "progress", "created_shown", "buttons")
    list_filter = ("state", "dialect", ("team", RelatedDropdownFilter))
    list_select_related = ("client_key__team",)
    search_fields = ("title",)
    ordering = ("-created_at",)
    actions = None
    warn_unsaved_form = False
    empty_title = "No batches yet"
    empty_hint = (
        "Upload a CSV or JSONL file here, or let clients create them: OpenAI's, Anthropic's and Google's SDKs, POST /api/ai-models/batches."
    )
    change_list_template = "admin/llm_gateway/batch_list.html"
    fields = (
        "id_shown", "title", "team", "client_key", "dialect", "endpoint", "state_badge", "pause_reason", "progress", "pace", "estimate",
        "cost", "errors_by_code", "faults_shown", "downloads", "requests", "created_at", "started_at", "ends_at", "ended_at", "expires_at",
        "buttons",
    )  # fmt: skip
    readonly_fields = fields

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Batch | None = None) -> bool:
        return False

    @override
    def get_fields(self, request: HttpRequest, obj: Batch | None = None) -> Any:
        money = request.user.has_perm(_SEES_MONEY)
        texts = request.user.has_perm(READS_TEXTS)
        hidden = {*(() if money else ("estimate", "cost")), *(() if texts else ("downloads",))}
        return [name for name in self.fields if name not in hidden]

    @override
    def get_urls(self) -> list[URLPattern]:
        def view(work: Any) -> Any:
            return self.admin_site.admin_view(require_POST(work))

        return [
            path("<path:object_id>/cancel/", view(self.cancel_view), name="llm_gateway_batch_cancel"),
            path("<path:object_id>/retry/", view(self.retry_view), name="llm_gateway_batch_retry"),
            *self.upload_urls(),
            *super().get_urls(),
        ]

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"may_upload": self.may_upload(request), **(extra_context or {})})

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.fetch(request, object_id)
        assert isinstance(row, Batch)
        self.log_change(request, row, "Cancelled.")
        _verbs.cancel_batch(row)
        messages.success(request, f"Nothing more of {row} begins; what runs is finished.")
        return self.back(request, row.pk)

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.fetch(request, object_id)
        assert isinstance(row, Batch)
        try:
            count = _verbs.retry_batch(row)
        except GatewayError as error:
            messages.error(request, error.message)
        else:
            self.log_change(request, row, f"Queued {count} failed requests again.")
            messages.success(request, f"{count} requests of {row} are queued again.")
        return self.back(request, row.pk)

    @override
    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Nothing on it is a field: there is nothing to save."""
        nothing = {"show_save": False, "show_save_and_continue": False}
        return super().change_view(request, object_id, form_url, {**nothing, **(extra_context or {})})

    @admin.display(description="batch", ordering="id")
    def id_short(self, row: Batch) -> str:
        return format_html('<span title="{}">…{}</span>', str(row), row.pk.hex[-12:])

    @admin.display(description="client key", ordering="client_key__name")
    def key_name(self, row: Batch) -> str:
        return row.client_key.name

    @admin.display(description="batch", ordering="id")
    def id_shown(self, row: Batch) -> str:
        return str(row)

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: Batch) -> str:
        return badge("paused", WARN, row.pause_reason) if row.pause_reason else badge(row.state, _TONE[row.state])

    @admin.display(description="progress")
    def progress(self, row: Batch) -> str:
        done = row.total - row.queued - row.running
        counts = ", ".join(f"{getattr(row, name):,} {name}" for name in ("running", "failed", "expired", "cancelled") if getattr(row, name))
        return format_html(
            '<progress max="{}" value="{}"></progress> {} of {}<span class="cogo-sub">{}</span>',
            max(row.total, 1), done, f"{done:,}", f"{row.total:,}", counts,
        )  # fmt: skip

    @admin.display(description="lines a second")
    def pace(self, row: Batch) -> str:
        if row.ended_at is not None:
            if row.started_at is None or row.ended_at <= row.started_at:
                return NONE
            return f"{row.total / (row.ended_at - row.started_at).total_seconds():.1f} on average"
        ended = BatchLine.objects.filter(batch=row, ended_at__gte=timezone.now() - _LATELY).count()
        return f"{ended / _LATELY.total_seconds():.1f} in the last {_LATELY.seconds} s"

    @admin.display(description="estimate")
    def estimate(self, row: Batch) -> str:
        return NONE if row.worst_nusd is None else f"{usd(row.estimate_nusd)} expected, {usd(row.worst_nusd)} at worst"

    @admin.display(description="cost so far")
    def cost(self, row: Batch) -> str:
        return usd(_verbs.batch_cost(row))

    @admin.display(description="errors by code")
    def errors_by_code(self, row: Batch) -> str:
        found = BatchLine.objects.filter(batch=row).exclude(error_code="").values("error_code").annotate(n=Count("pk")).order_by("-n")[:20]
        return format_html_join("", "<div>{} × {}</div>", ((one["n"], one["error_code"]) for one in found)) or NONE

    @admin.display(description="faults of the file")
    def faults_shown(self, row: Batch) -> str:
        lines = ((one["line"] or NONE, one["field"] or NONE, one["message"]) for one in row.faults[:20])
        return format_html_join("", "<div>line {}, {}: {}</div>", lines) or NONE

    @admin.display(description="download")
    def downloads(self, row: Batch) -> str:
        """Also while it runs: what has ended so far."""
        found = [("batch-results", "results (JSONL)", row.completed), ("batch-errors", "errors (JSONL)", row.failed + row.expired)]
        found.append(("batch-code", "code files (zip)", row.completed))
        lines = ((reverse(name, args=[row.pk]), title) for name, title, count in found if count)
        return format_html_join(" · ", '<a class="cogo-link" href="{}">{}</a>', lines) or NONE

    @admin.display(description="requests")
    def requests(self, row: Batch) -> str:
        return link(f"{reverse('admin:llm_gateway_requestlog_changelist')}?batch_id__exact={row.pk}", "its rows of the log")

    @admin.display(description="created", ordering="created_at")
    def created_shown(self, row: Batch) -> str:
        return ago(row.created_at)

    @admin.display(description="")
    def buttons(self, row: Batch) -> str:
        if row.ended_at is None and row.state != "cancelling":
            return button(reverse("admin:llm_gateway_batch_cancel", args=[row.pk]), "Cancel")
        if row.ended_at is not None and row.failed + row.expired and row.state != "failed":
            return button(reverse("admin:llm_gateway_batch_retry", args=[row.pk]), "Retry failed")
        return ""
