"""The audit trail, to look at, filter and export. Who sees it: the auditor and superusers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from typing_extensions import override

from llm_gateway.models import AuditEntry, trail

from ._keyset import KeysetAdmin
from ._show import BAD, GOOD, INFO, NONE, QUIET, WARN, ago, badge, changes, link
from ._trail_export import XLSX, csv_lines, workbook
from ._trail_filters import DaysFilter, OriginFilter, PersonFilter, SinceFilter, SubjectFilter

ACTIONS = {
    "added": GOOD, "changed": INFO, "rolled": INFO, "deleted": BAD, "did": INFO, "ran": INFO, "signed in": GOOD, "signed out": QUIET,
    "sign-in failed": WARN, "refused": WARN, "exported": INFO, "read texts": WARN,
}  # fmt: skip
# Of one file; the filters choose which.
MOST_ROWS = 50_000


class ActionFilter(admin.SimpleListFilter):
    title = "action"
    parameter_name = "action"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in ACTIONS]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=self.value()) if self.value() in ACTIONS else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(KeysetAdmin):
    moment_field = "at"
    indexed = frozenset({"action", "noun", "person"})
    windows = frozenset({SinceFilter.parameter_name, "at_from", "at_to"})
    list_display = ("when", "who", "action_badge", "what", "values", "address")
    list_filter = (PersonFilter, SubjectFilter, OriginFilter, ActionFilter, SinceFilter, ("at", DaysFilter))
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
        found = [
            path(address, self.admin_site.admin_view(self.export_view), {"form": form}, name=f"llm_gateway_auditentry_{name}")
            for address, form, name in (("export/", "csv", "export"), ("export.xlsx", "xlsx", "export_xlsx"))
        ]
        return [*found, *super().get_urls()]

    def export_view(self, request: HttpRequest, form: str = "csv") -> HttpResponse:
        """The filtered trail as CSV or as a workbook, newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_changelist_instance(request).queryset
        trail.record("exported", name="audit trail", detail=request.GET.urlencode()[:300])
        newest = rows.order_by("-pk")[:MOST_ROWS]
        if form == "xlsx":
            response = HttpResponse(workbook(newest), content_type=XLSX)
        else:
            response = HttpResponse("".join(csv_lines(newest)), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y%m%d-%H%M%S}.{form}"'
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "no-store"
        return response

    @admin.display(description="when")
    def when(self, row: AuditEntry) -> str:
        return ago(row.at)

    @admin.display(description="who")
    def who(self, row: AuditEntry) -> SafeString:
        if not row.actor:
            return format_html('nobody signed in<span class="cogo-sub">{}</span>', row.via)
        every = f"{self.list_url()}?{urlencode({PersonFilter.parameter_name: row.actor})}"
        return format_html('{}<span class="cogo-sub">{}</span>', link(every, row.actor), row.via)

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
