"""Paging through a table that grows without end: no count, no offset. Pages are cut by the time-ordered primary key."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from typing_extensions import override
from unfold.views import ChangeList

from ._base import ReadOnlyAdmin

BEFORE, AFTER = "before", "after"


def first_id_at(moment: datetime) -> uuid.UUID:
    """The smallest id a row of ``moment`` or later can have, whatever bits of a version 7 UUID are used."""
    return uuid.UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


class KeysetPaginator(Paginator):  # type: ignore[type-arg]
    """Pretends to hold one page; :class:`KeysetChangeList` fills it."""

    template_name = "admin/llm_gateway/keyset_pagination.html"

    @property
    @override
    def count(self) -> int:  # type: ignore[override]
        return 0

    @override
    def page(self, number: Any) -> Page[Any]:
        return Page([], 1, self)


class KeysetChangeList(ChangeList):
    """Newest first, always. ``older`` and ``newer`` are the query strings of the neighbouring pages, ``None`` at an end."""

    older: str | None = None
    newer: str | None = None

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        asked = request.GET.copy()
        before, after = asked.pop(BEFORE, [""])[-1], asked.pop(AFTER, [""])[-1]
        request.GET = asked
        model = args[0] if args else kwargs["model"]
        self._before, self._after = _key(model, before), _key(model, after)
        super().__init__(request, *args, **kwargs)

    @override
    def get_results(self, request: HttpRequest) -> None:
        rows, self.older, self.newer = self._cut(self.queryset)
        self.result_list = rows
        self.result_count = len(rows)
        self.full_result_count = self.result_count  # nobody counts, so the header has nothing to compare
        self.show_admin_actions = False
        self.can_show_all = False
        self.multi_page = bool(self.older or self.newer)
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    def _cut(self, queryset: QuerySet[Any]) -> tuple[list[Any], str | None, str | None]:
        size = self.list_per_page
        if self._after is not None:
            found = list(queryset.filter(pk__gt=self._after).order_by("pk")[: size + 1])
            more_newer, rows = len(found) > size, found[:size][::-1]
            more_older = True
        else:
            page = queryset.filter(pk__lt=self._before) if self._before is not None else queryset
            found = list(page.order_by("-pk")[: size + 1])
            more_older, rows = len(found) > size, found[:size]
            more_newer = self._before is not None
        older = self.get_query_string({BEFORE: rows[-1].pk}) if rows and more_older else None
        newer = self.get_query_string({AFTER: rows[0].pk}) if rows and more_newer else None
        return rows, older, newer


def _key(model: type[Model], text: str) -> Any:
    """A primary key out of a query string; ``None`` for nonsense, which begins at the first page."""
    try:
        return model._meta.pk.to_python(text) if text else None
    except ValidationError:
        return None


class KeysetAdmin(ReadOnlyAdmin):
    """A read-only list of a big table."""

    paginator = KeysetPaginator
    show_full_result_count = False
    sortable_by = ()

    @override
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList
