"""The request log: what was asked, who answered, why, and what it cost."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from typing_extensions import override
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RelatedDropdownFilter

from llm_gateway.core.roles import READS_TEXTS
from llm_gateway.core.usage import COMPLETION, PROMPT
from llm_gateway.models import Attempt, RequestBody, RequestLog

from . import _conversation, _decision, _live, _quality, _request_page, _searching
from ._base import READ_TEXTS, ReadOnlyInline
from ._keyset import KeysetAdmin, KeysetChangeList
from ._request_filters import BudgetFilter, DayFilter, EndUserFilter, KindFilter, OriginFilter, StrategyFilter, TagFilter, WhenFilter
from ._show import NONE, REQUEST_TONE, ago, badge, count, milliseconds, mono, nowrap, usd


def _counted(row: RequestLog, classes: tuple[str, ...]) -> str:
    known = [n for name in classes if (n := getattr(row, name)) is not None]
    return count(sum(known) if known else None)


class AttemptInline(ReadOnlyInline):
    model = Attempt
    fields = ("number", "target", "outcome_badge", "status", "said", "took", "ttft", "billed_shown", "cost", "upstream")
    readonly_fields = fields
    ordering = ("number",)
    verbose_name_plural = "attempts, first to last"

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        return super().get_queryset(request).select_related("provider_key")

    @admin.display(description="tried")
    def target(self, row: Attempt) -> str:
        key = row.provider_key.name if row.provider_key else "key deleted"
        name = row.upstream_id.rsplit("/", 1)[-1]
        return format_html('<span title="{}">{}</span><span class="cogo-sub">{} · {}</span>', row.upstream_id, name, row.provider_slug, key)

    @admin.display(description="outcome")
    def outcome_badge(self, row: Attempt) -> str:
        return badge(row.outcome, REQUEST_TONE.get(row.outcome, "quiet"))

    @admin.display(description="status")
    def status(self, row: Attempt) -> str:
        return str(row.http_status or NONE)

    @admin.display(description="what happened")
    def said(self, row: Attempt) -> str:
        if not row.error_class:
            return "streamed" if row.streamed else "answered"
        return format_html('{}<span class="cogo-sub">{}</span>', row.error_class.replace("_", " "), row.detail)

    @admin.display(description="took")
    def took(self, row: Attempt) -> str:
        return milliseconds(row.latency_ms)

    @admin.display(description="first token")
    def ttft(self, row: Attempt) -> str:
        return milliseconds(row.ttft_ms)

    @admin.display(description="billed as")
    def billed_shown(self, row: Attempt) -> str:
        if row.billed != "void":
            return row.billed or NONE
        return "not billed; the provider may have" if row.maybe_billed else "not billed"

    @admin.display(description="cost")
    def cost(self, row: Attempt) -> str:
        return usd(row.cost_nusd, 6) if row.billed else NONE

    @admin.display(description="provider's request id")
    def upstream(self, row: Attempt) -> str:
        return mono(row.upstream_request_id)


@admin.register(RequestLog)
class RequestLogAdmin(KeysetAdmin):
    list_display = ("when", "state_badge", "client", "models_shown", "attempts_shown", "tokens", "cost", "latency", "ttft", "kind_shown")
    list_filter = (
        WhenFilter,
        DayFilter,
        BudgetFilter,
        StrategyFilter,
        TagFilter,
        EndUserFilter,
        ("state", ChoicesDropdownFilter),
        ("provider", RelatedDropdownFilter),
        ("model", RelatedDropdownFilter),
        ("client_key", RelatedDropdownFilter),
        ("team", RelatedDropdownFilter),
        KindFilter,
        OriginFilter,
        ("simulated", BooleanRadioFilter),
    )
    list_select_related = ("client_key", "provider", "model", "team")
    list_per_page = 50
    ordering = ("-id",)
    inlines = (AttemptInline,)
    fields = ("panel",)
    readonly_fields = fields
    empty_title = "No requests here"
    empty_hint = "Send one with a client key, or widen the filters. Every authenticated request leaves a line, whatever became of it."
    list_before_template = "admin/llm_gateway/request_live.html"
    change_form_outer_before_template = "admin/llm_gateway/request_head.html"
    change_form_outer_after_template = "admin/llm_gateway/request_decision.html"
    fieldsets = ()
    indexed = frozenset({"client_key__id__exact", "model__id__exact", "state__exact", "budget", "tag"})
    scanned = frozenset({("state__exact", "open")})
    windows = frozenset({WhenFilter.parameter_name, DayFilter.parameter_name})
    HEAVY = ("decision", "metadata", "error_details", "choice")
    whole_hint = "a filter on client, model or state alone, an id or a tag finds everything at once"
    search_fields = ("id",)  # the box; what it finds is decided below
    search_help_text = _searching.HELP

    @override
    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        term = search_term.replace("\x00", "").strip()[: _searching.LONGEST]
        if not term:
            return queryset, False
        if len(term) < _searching.SHORTEST:
            messages.info(request, f"Search for at least {_searching.SHORTEST} characters.")
            return queryset.none(), False
        found = _searching.by_index(term)
        request.cogo_search_is_indexed = found is not None  # type: ignore[attr-defined]
        return (queryset.filter(found) if found is not None else _searching.by_words(queryset, term)), False

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return ()

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[RequestLog]:
        rows = super().get_queryset(request)
        names = ("llm_gateway_requestlog_changelist", "llm_gateway_requestlog_live")
        lists = request.resolver_match is not None and request.resolver_match.url_name in names
        return rows.defer(*self.HEAVY) if lists else rows

    @override
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = extra_context or {}
        row = self.get_object(request, object_id) if object_id else None
        if isinstance(row, RequestLog):
            context |= {
                "log": row,
                "title": f"Request {str(row.pk)[-12:]}",
                "state_badge": badge(row.state, REQUEST_TONE.get(row.state, "quiet")),
                "cost": self.cost(row),
                **_request_page.context(row, request),
            }
            context["decision"] = _decision.readable(row.decision)
            context["chances"] = _decision.chances(row)
            context["quality"] = _quality.readable(row.pk)
            context["has_body"] = RequestBody.objects.filter(pk=row.pk).exists()
            context["may_read"] = request.user.has_perm(READS_TEXTS)
        return super().changeform_view(request, object_id, form_url, context)

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The first page refreshes itself; further back nothing new can come."""
        context = dict(extra_context or {})
        if not {"before", "after", "p"} & set(request.GET):
            context["live_url"] = f"{reverse('admin:llm_gateway_requestlog_live')}?{request.GET.urlencode()}"
        return super().changelist_view(request, context)

    @override
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return _live.LiveChangeList if hasattr(request, "cogo_live") else super().get_changelist(request, **kwargs)

    def live_view(self, request: HttpRequest) -> HttpResponse:
        return _live.rows_since(self, request)

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("live/", wrap(self.live_view), name="llm_gateway_requestlog_live"),
            path("<path:object_id>/texts/", wrap(self.body_view), name="llm_gateway_requestlog_texts"),
            *super().get_urls(),
        ]

    def body_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Prompt and answer as plain text. A right of its own, and every look is written down."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row) or not request.user.has_perm(READS_TEXTS):
            return HttpResponse("You may not read prompts.", status=403, content_type="text/plain; charset=utf-8")
        body = RequestBody.objects.filter(pk=row.pk).first()
        prompt, answer = _decision.texts(body) if body else ("", "")
        self.log_change(request, row, READ_TEXTS)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Texts of request {str(row.pk)[-12:]}",
            "opts": self.opts,
            "log": row,
            "body": body,
            "prompt": prompt,
            "answer": answer,
            "turns": _conversation.turns(row, prompt, answer),
            "snippets": _conversation.snippets(row, request.build_absolute_uri("/").rstrip("/"), prompt) if prompt else (),
            "playground_url": _request_page.playground_url(row),
            "back_url": self.change_url(row.pk),
        }
        response = TemplateResponse(request, "admin/llm_gateway/request_texts.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.display(description="time")
    def when(self, row: RequestLog) -> str:
        return ago(row.created_at)

    @admin.display(description="state")
    def state_badge(self, row: RequestLog) -> str:
        shown = badge(row.state, REQUEST_TONE.get(row.state, "quiet"))
        said = row.error_message or ""
        code = row.error_code.replace("_", " ")
        return format_html('{}<span class="cogo-sub" title="{}">{}</span>', shown, said, code) if row.error_code else shown

    @admin.display(description="client")
    def client(self, row: RequestLog) -> str:
        name = row.client_key.name if row.client_key else "staff"
        whence = f"{row.team.name}, {row.address}" if row.address else row.team.name
        return format_html('{}<span class="cogo-sub">{}</span>', name, whence)

    @admin.display(description="asked → answered")
    def models_shown(self, row: RequestLog) -> str:
        served = row.model.name if row.model else row.served_model
        asked = row.asked_model or "auto"
        head = asked if asked == served else f"{asked} → {served}" if served else asked
        where = row.provider.title if row.provider else row.provider_slug or "never sent"
        mark = badge("simulated", "info") if row.simulated else ""
        return format_html('{}<span class="cogo-sub">{} {}</span>', head, where, mark)

    @admin.display(description="attempts")
    def attempts_shown(self, row: RequestLog) -> str:
        return badge(f"{row.attempt_count} tries", "warn") if row.attempt_count > 1 else str(row.attempt_count)

    @admin.display(description="tokens in / out")
    def tokens(self, row: RequestLog) -> str:
        mark = "≈ " if row.usage_source == "estimated" else ""
        return format_html('<span class="cogo-num">{}{} / {}</span>', mark, _counted(row, PROMPT), _counted(row, COMPLETION))

    @admin.display(description="cost")
    def cost(self, row: RequestLog) -> str:
        if row.cost_nusd is None:
            return (
                NONE
                if row.state in ("open", "rejected", "replayed")
                else badge("unknown", "warn", "No price was known, or the usage was not.")
            )
        mark = "≈ " if row.usage_source == "estimated" and row.cost_nusd else ""
        return format_html('<span class="cogo-num" title="{}">{}{}</span>', usd(row.cost_nusd), mark, usd(row.cost_nusd, 6))

    @admin.display(description="took")
    def latency(self, row: RequestLog) -> str:
        return nowrap(milliseconds(row.latency_ms))

    @admin.display(description="first token")
    def ttft(self, row: RequestLog) -> str:
        return milliseconds(row.ttft_ms)

    @admin.display(description="kind")
    def kind_shown(self, row: RequestLog) -> str:
        return format_html('{}<span class="cogo-sub">{}</span>', row.kind, row.dialect.replace("_", " "))

    def panel(self, row: RequestLog) -> str:
        return ""
