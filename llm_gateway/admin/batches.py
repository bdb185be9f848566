"""Batches as they run: progress, pace, estimate against cost, why one is paused, errors by code, cancel and retry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from typing_extensions import override
from unfold.contrib.filters.admin import RelatedDropdownFilter

from llm_gateway.core.errors import GatewayError
from llm_gateway.models import Batch

from . import _batch_lane, _batch_page, _verbs
from ._base import GatewayAdmin
from ._batch_upload import BatchUploads
from ._show import BAD, GOOD, INFO, QUIET, WARN, ago, badge, button, link

_TONE = {
    "validating": INFO, "in_progress": INFO, "cancelling": QUIET, "completed": GOOD, "failed": BAD, "expired": WARN, "cancelled": QUIET,
}  # fmt: skip


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
    change_form_outer_before_template = "admin/llm_gateway/batch_state.html"
    fields = (
        "state_badge", "id_shown", "title", "team", "client_key", "dialect", "endpoint", "requests", "created_at", "started_at", "ends_at",
        "ended_at", "expires_at", "lane_shown", "shards",
    )  # fmt: skip
    readonly_fields = fields

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Batch | None = None) -> bool:
        return False

    @override
    def get_urls(self) -> list[URLPattern]:
        def view(work: Any) -> Any:
            return self.admin_site.admin_view(require_POST(work))

        return [
            path("<path:object_id>/cancel/", view(self.cancel_view), name="llm_gateway_batch_cancel"),
            path("<path:object_id>/state/", self.admin_site.admin_view(self.state_view), name="llm_gateway_batch_state"),
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
        context: dict[str, Any] = {"show_save": False, "show_save_and_continue": False, **(extra_context or {})}
        row = self.get_object(request, object_id)
        if isinstance(row, Batch):
            context |= {"title": row.title or str(row), **self._state(request, row)}
        return super().change_view(request, object_id, form_url, context)

    def state_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The part of the page that moves; nothing once it has stood still for a while."""
        row = self.get_object(request, object_id)
        if not isinstance(row, Batch) or not self.has_view_permission(request, row):
            raise PermissionDenied
        if row.ended_at is not None and row.ended_at < timezone.now() - timedelta(seconds=30):
            return HttpResponse(status=204)
        return TemplateResponse(request, "admin/llm_gateway/batch_panel.html", self._state(request, row))

    def _state(self, request: HttpRequest, row: Batch) -> dict[str, Any]:
        return _batch_page.context(request, row, may_change=self.has_change_permission(request, row))

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
            '<span class="cogo-bar"><i class="posted" style="width:{}%"></i></span>{} of {}<span class="cogo-sub">{}</span>',
            round(100 * done / max(row.total, 1)), f"{done:,}", f"{row.total:,}", counts,
        )  # fmt: skip

    @admin.display(description="lane")
    def lane_shown(self, row: Batch) -> str:
        return _batch_lane.lane_of(row)

    @admin.display(description="at the provider")
    def shards(self, row: Batch) -> str:
        return _batch_lane.shards_of(row)

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
