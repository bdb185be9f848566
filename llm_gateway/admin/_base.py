"""What every admin page of the gateway shares: layout, read-only pages, and buttons that POST."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from typing_extensions import override

from llm_gateway.models import AuditEntry, trail

from ._forging import MOST_ROWS, comparable, guarded, refuse_forged_sizes
from ._show import changes
from ._typed import AnyAdmin, ModelAdmin, TabularInline

# The one button whose use is a look, not a change.
READ_TEXTS = "Read prompt and answer."


class GuardedFields(AnyAdmin):
    """Select boxes that answer forged values with an error in the form."""

    @override
    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return guarded(super().formfield_for_dbfield(db_field, request, **kwargs))


class GatewayAdmin(GuardedFields, ModelAdmin):
    """Wide lists with filters, compact forms. ``empty_title`` and ``empty_hint`` say what to do while there is nothing to list."""

    list_fullwidth = True
    list_filter_submit = True
    warn_unsaved_form = True
    compressed_fields = True
    list_per_page = 50
    empty_title = "Nothing here yet"
    empty_hint = ""
    object_history_template = "admin/llm_gateway/history.html"
    history_per_page = 100

    @method_decorator(sensitive_post_parameters())
    @override
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        refuse_forged_sizes(request)
        return super().changeform_view(request, *args, **kwargs)

    @override
    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """From the audit trail, which knows values and outlives accounts. Who may see the row may see who changed it."""
        rows = AuditEntry.objects.filter(noun=self.opts.label_lower, object_id=unquote(object_id)).order_by("-pk")
        page = Paginator(rows, self.history_per_page).get_page(request.GET.get("p"))
        lines = [(entry, changes(entry.changes, entry.detail)) for entry in page]
        context = {"history": page, "history_lines": lines, "action_list": [], **(extra_context or {})}
        return super().history_view(request, object_id, context)

    @override
    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """What a button did is recorded in its own words; what a form changed the trail has seen itself."""
        if isinstance(message, str) and message:
            trail.record("read texts" if message == READ_TEXTS else "did", obj, detail=message)
        return super().log_change(request, obj, message)

    @override
    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """PostgreSQL takes no NUL; select boxes hand theirs on without a form that would refuse it."""
        return super().get_search_results(request, queryset, search_term.replace("\x00", ""))

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A filter by a number that no column can hold is answered as Django answers any other wrong filter."""
        refuse_forged_sizes(request)
        try:
            return super().changelist_view(request, extra_context)
        except (OverflowError, DataError):
            return HttpResponseRedirect(f"{self.list_url()}?e=1")

    @override
    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return comparable(self.model, lookup, value) and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def change_url(self, pk: object) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])

    def list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def fetch(self, request: HttpRequest, object_id: str) -> Model:
        """The row an extra page is about, for someone who may change it. 404 and 403 as Django's own pages answer."""
        row: Model | None = self.get_object(request, object_id)
        if row is None:
            raise PermissionDenied
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        return row

    def back(self, request: HttpRequest, pk: object) -> HttpResponseRedirect:
        """To the page the button was on: the list where the form says so, else the row."""
        return HttpResponseRedirect(self.list_url() if "from_list" in request.GET else self.change_url(pk))


class ReadOnly(AnyAdmin):
    """Rows written by the gateway itself: looked at, never edited."""

    @override
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, GatewayAdmin):
    actions: Any = None
    warn_unsaved_form = False


class RowsInline(GuardedFields, TabularInline):
    """A table whose rows carry no heading each, and which has an end."""

    max_num = MOST_ROWS

    @override
    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        kwargs.setdefault("absolute_max", MOST_ROWS)
        return super().get_formset(request, obj, **kwargs)


# Unfold 0.91, the last for Python 3.11, calls the switch hide_title; later ones call it show_title and warn of the old name.
_SWITCH = ("show_title", False) if hasattr(TabularInline, "show_title") else ("hide_title", True)
setattr(RowsInline, *_SWITCH)


class ReadOnlyInline(ReadOnly, RowsInline):
    extra = 0
    max_num = 0
    can_delete = False


class SliceInline(ReadOnlyInline):
    """The newest ``rows`` of a long history. Formsets filter again, which a sliced queryset refuses, so the cut is made by primary key."""

    rows = 15
    link = ""

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = super().get_queryset(request)
        parent = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
        if parent is None:
            return queryset.none()
        newest = queryset.filter(**{f"{self.fk()}_id": parent}).order_by("-pk").values_list("pk", flat=True)[: self.rows]
        return queryset.filter(pk__in=list(newest)).order_by("-pk")

    def fk(self) -> str:
        return next(str(f.name) for f in self.model._meta.fields if f.remote_field and f.remote_field.model is self.parent_model)
