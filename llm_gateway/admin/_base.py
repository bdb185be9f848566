"""What every admin page of the gateway shares: layout, read-only pages, and buttons that POST."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import BaseModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from typing_extensions import override
from unfold.admin import ModelAdmin, TabularInline


class GatewayAdmin(ModelAdmin):
    """Wide lists with filters, compact forms. ``empty_title`` and ``empty_hint`` say what to do while there is nothing to list."""

    list_fullwidth = True
    list_filter_submit = True
    warn_unsaved_form = True
    compressed_fields = True
    list_per_page = 50
    empty_title = "Nothing here yet"
    empty_hint = ""

    @method_decorator(sensitive_post_parameters())
    @override
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)

    @override
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A filter by a number that no column can hold is answered as Django answers any other wrong filter."""
        try:
            return super().changelist_view(request, extra_context)
        except (OverflowError, DataError):
            return HttpResponseRedirect(f"{self.list_url()}?e=1")

    def change_url(self, pk: object) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])

    def list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def fetch(self, request: HttpRequest, object_id: str) -> Model:
        """The row an extra page is about, for someone who may change it. 404 and 403 as Django's own pages answer."""
        row = self.get_object(request, object_id)
        if row is None:
            raise PermissionDenied
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        return row

    def back(self, request: HttpRequest, pk: object) -> HttpResponseRedirect:
        """To the page the button was on: the list where the form says so, else the row."""
        return HttpResponseRedirect(self.list_url() if "from_list" in request.GET else self.change_url(pk))


class ReadOnly(BaseModelAdmin):
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
    actions = None
    warn_unsaved_form = False


class RowsInline(TabularInline):
    """A table whose rows carry no heading each."""


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
        return next(f.name for f in self.model._meta.fields if f.remote_field and f.remote_field.model is self.parent_model)
