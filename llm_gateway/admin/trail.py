"""The audit trail, to look at, filter and export. Who sees it: the auditor and superusers."""

from __future__ import annotations

import csv
import json as stdlib_json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from typing_extensions import override

from llm_gateway.core.spreadsheet import BOM, defused
from llm_gateway.models import AuditEntry, trail

from ._keyset import KeysetAdmin
from ._show import BAD, GOOD, INFO, NONE, QUIET, WARN, ago, badge, changes

ACTIONS = {
    "added": GOOD, "changed": INFO, "rolled": INFO, "deleted": BAD, "did": INFO, "ran": INFO, "signed in": GOOD, "signed out": QUIET,
    "sign-in failed": WARN, "refused": WARN, "exported": INFO, "read texts": WARN,
}  # fmt: skip
# Of one file; the filters choose which.
MOST_ROWS = 50_000
HEADS = ("at", "actor", "via", "action", "noun", "object_id", "object_name", "changes", "detail", "address", "request_id")


class ActionFilter(admin.SimpleListFilter):
    title = "action"
    parameter_name = "action"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in ACTIONS]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=self.value()) if self.value() in ACTIONS else queryset


class NounFilter(admin.SimpleListFilter):
    title = "noun"
    parameter_name = "noun"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(label, label.partition(".")[2]) for label in sorted(trail.NOUNS)]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(noun=self.value()) if self.value() in trail.NOUNS else queryset


class SinceFilter(admin.SimpleListFilter):
    title = "when"
    parameter_name = "when"
    windows = {"24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30), "365d": timedelta(days=365)}  # noqa: RUF012

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("24h", "last 24 hours"), ("7d", "last 7 days"), ("30d", "last 30 days"), ("365d", "last year")]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        window = self.windows.get(self.value() or "")
        return queryset.filter(at__gte=timezone.now() - window) if window else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(KeysetAdmin):
    moment_field = "at"
    indexed = frozenset({"action", "noun"})
    windows = frozenset({SinceFilter.parameter_name})
    list_display = ("when", "who", "action_badge", "what", "values", "address")
    list_filter = (SinceFilter, ActionFilter, NounFilter, "via")
    search_fields = ("actor", "object_name")
    search_help_text = "A person's name, or what the changed thing is called."
    fields = ("at", "who", "via", "action_badge", "what", "values", "detail", "address", "request_id")
    readonly_fields = fields
    list_before_template = "admin/llm_gateway/audit_export.html"
    empty_title = "Nothing recorded here"
    empty_hint = "Sign-ins, changes, exports, refusals and every look at a prompt leave a line here. Widen the filters."

    @override
    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip().replace("\x00", "")[:100]
        if not term:
            return queryset, False
        return queryset.filter(Q(actor__icontains=term) | Q(object_name__icontains=term) | Q(object_id=term) | Q(address=term)), False

    @override
    def get_urls(self) -> list[URLPattern]:
        return [path("export/", self.admin_site.admin_view(self.export_view), name="llm_gateway_auditentry_export"), *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """The filtered trail as CSV, newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_changelist_instance(request).queryset
        trail.record("exported", name="audit trail", detail=request.GET.urlencode()[:300])
        newest = rows.order_by("-pk")[:MOST_ROWS]
        response = HttpResponse("".join(_csv_lines(newest)), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y%m%d-%H%M%S}.csv"'
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "no-store"
        return response

    @admin.display(description="when")
    def when(self, row: AuditEntry) -> str:
        return ago(row.at)

    @admin.display(description="who")
    def who(self, row: AuditEntry) -> SafeString:
        return format_html('{}<span class="cogo-sub">{}</span>', row.actor or "nobody signed in", row.via)

    @admin.display(description="did")
    def action_badge(self, row: AuditEntry) -> str:
        return badge(row.action, ACTIONS.get(row.action, QUIET))

    @admin.display(description="what")
    def what(self, row: AuditEntry) -> str:
        noun = row.noun.partition(".")[2]
        what = row.object_name or row.detail or NONE
        return format_html('{}<span class="cogo-sub">{}</span>', what, noun) if noun else what

    @admin.display(description="before → after")
    def values(self, row: AuditEntry) -> str:
        return changes(row.changes, row.detail if row.object_name else "")


def _csv_lines(rows: Any) -> Iterator[str]:
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield BOM + writer.writerow(HEADS)
    for row in rows:
        values = [getattr(row, name) for name in HEADS]
        values[0] = row.at.isoformat()
        values[HEADS.index("changes")] = stdlib_json.dumps(row.changes, ensure_ascii=False) if row.changes else ""
        yield writer.writerow([defused(str(value)) for value in values])


class _Echo:
    def write(self, text: str) -> str:
        return text
