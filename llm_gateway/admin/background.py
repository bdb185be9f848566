"""Background work, to look at only: whoever may write a schedule may run any function, so nobody may here."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html_join
from django_q.models import Failure, OrmQ, Schedule, Success, Task
from typing_extensions import override

from llm_gateway.core.redact import redact
from llm_gateway.models import AuditRun

from ._base import ReadOnlyAdmin
from ._show import NONE, ago, badge

for _model in (Schedule, Success, Failure, OrmQ):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    list_display = ("name", "func", "rhythm", "next_shown", "last_badge")
    search_fields = ("name", "func")
    ordering = ("next_run",)
    fields = ("name", "func", "rhythm", "next_run", "last_badge")
    readonly_fields = fields
    empty_title = "No scheduled jobs"
    empty_hint = "Schedules are written by the gateway itself when it is migrated; run its start command once."

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        ran = Task.objects.filter(id=OuterRef("task"))
        rows: QuerySet[Any] = super().get_queryset(request)
        return cast(QuerySet[Any], rows.annotate(ok=Subquery(ran.values("success")[:1]), ended=Subquery(ran.values("stopped")[:1])))

    @admin.display(description="rhythm", ordering="cron")
    def rhythm(self, row: Any) -> str:
        return str(row.cron or row.get_schedule_type_display())

    @admin.display(description="next run", ordering="next_run")
    def next_shown(self, row: Any) -> str:
        return ago(row.next_run)

    @admin.display(description="last run")
    def last_badge(self, row: Any) -> str:
        if row.ok is None:
            return NONE
        return badge("ok" if row.ok else "failed", "good" if row.ok else "bad", f"{row.ended:%Y-%m-%d %H:%M} UTC")


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    list_display = ("at_shown", "kind", "result", "found", "took")
    list_filter = ("kind", "ok")
    list_display_links = ("at_shown",)
    ordering = ("-id",)
    fields = ("at", "kind", "result", "found", "rules_shown", "took")
    readonly_fields = fields
    empty_title = "No audit yet"
    empty_hint = "The task cluster looks at what is open each five minutes and at all books each night; manage.py audit does it now."

    @admin.display(description="when", ordering="at")
    def at_shown(self, row: AuditRun) -> str:
        return ago(row.at)

    @admin.display(description="result")
    def result(self, row: AuditRun) -> str:
        return badge("ok", "good") if row.ok else badge("failed", "bad")

    @admin.display(description="found")
    def found(self, row: AuditRun) -> str:
        """A paragraph a finding: what is wrong, and the first rows that show it."""
        if not row.findings:
            return NONE
        paragraphs = ((_sentence(one), "; ".join(one["offenders"])) for one in row.findings)
        return format_html_join("", '<div>{}<span class="cogo-sub">{}</span></div>', paragraphs)

    @admin.display(description="rules")
    def rules_shown(self, row: AuditRun) -> str:
        return " ".join(row.rules)

    @admin.display(description="took", ordering="took_ms")
    def took(self, row: AuditRun) -> str:
        return f"{row.took_ms / 1000:.2f} s"


def _sentence(finding: dict[str, Any]) -> str:
    if not finding["broken"]:
        return f"{finding['code']}: {finding['note']}"
    return f"{finding['code']} {finding['title']}: {finding['broken']} broken"


class TaskAdmin(ReadOnlyAdmin):
    list_display = ("name", "func", "started_shown", "took")
    search_fields = ("name", "func")
    list_filter = ("func",)
    ordering = ("-stopped",)
    fields = ("name", "func", "started", "stopped", "took", "attempt_count")
    readonly_fields = fields

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Arguments and results are pickles: they are neither loaded nor shown.
        return super().get_queryset(request).defer("args", "kwargs", "result")

    @admin.display(description="started", ordering="started")
    def started_shown(self, row: Any) -> str:
        return ago(row.started)

    @admin.display(description="took")
    def took(self, row: Any) -> str:
        return f"{(row.stopped - row.started).total_seconds():.2f} s"


@admin.register(Success)
class SuccessAdmin(TaskAdmin):
    empty_title = "No finished jobs yet"
    empty_hint = "Is the task cluster running? It starts together with the gateway."


@admin.register(Failure)
class FailureAdmin(TaskAdmin):
    # A column more than its parent; the stubs take a tuple's length for its type.
    list_display = (*TaskAdmin.list_display, "error")  # type: ignore[assignment]
    fields = (*TaskAdmin.fields, "error")  # type: ignore[assignment]
    readonly_fields = fields  # type: ignore[assignment]
    empty_title = "No failed jobs"
    empty_hint = "A job that fails leaves its last error line here."

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super(TaskAdmin, self).get_queryset(request).defer("args", "kwargs")

    @admin.display(description="error")
    def error(self, row: Any) -> str:
        """The last line of the traceback, which says what happened; of a text only, never of an unpickled thing."""
        lines = [line for line in str(row.result).splitlines() if line.strip()] if isinstance(row.result, str) else []
        return redact(lines[-1], limit=200) if lines else NONE


@admin.register(OrmQ)
class QueueAdmin(ReadOnlyAdmin):
    list_display = ("id", "key", "lock_shown")
    ordering = ("id",)
    fields = ("id", "key", "lock")
    readonly_fields = fields
    empty_title = "The queue is empty"
    empty_hint = "Work waits here for the task cluster; usually for less than a second."

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("payload")

    @admin.display(description="waiting since", ordering="lock")
    def lock_shown(self, row: Any) -> str:
        return ago(row.lock)
