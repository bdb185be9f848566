"""Paging through a table that grows without end: no count, no offset. Pages are cut by the time-ordered primary key.

A filter that no index answers looks at a bounded stretch of rows and says so, with a link to the next stretch: a rare thing in ten million
rows must not read them all.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from typing_extensions import override

from ._base import ReadOnlyAdmin
from ._typed import ChangeList

BEFORE, AFTER = "before", "after"
# How many rows an unindexed filter looks at for one page.
STRETCH = 30_000


def first_id_at(moment: datetime) -> uuid.UUID:
    """The smallest id a row of ``moment`` or later can have, whatever bits of a version 7 UUID are used."""
    return uuid.UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def moment_of(key: uuid.UUID) -> datetime:
    return datetime.fromtimestamp((key.int >> 80) / 1000, UTC)


class KeysetPaginator(Paginator):  # type: ignore[type-arg]  # not subscriptable at run time
    """Pretends to hold one page; :class:`KeysetChangeList` fills it."""

    template_name = "admin/llm_gateway/keyset_pagination.html"

    @property
    @override
    def count(self) -> int:
        return 0

    @override
    def page(self, number: Any) -> Page[Any]:
        return Page([], 1, self)


class KeysetChangeList(ChangeList):
    """Newest first, always. ``older`` and ``newer`` are the query strings of the neighbouring pages, ``None`` at an end."""

    model_admin: Any  # a KeysetAdmin
    older: str | None = None
    newer: str | None = None
    # Where an unindexed filter stopped looking.
    looked_at = ""
    looked_to: datetime | None = None

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        asked = request.GET.copy()
        before, after = asked.pop(BEFORE, [""])[-1], asked.pop(AFTER, [""])[-1]
        request.GET = asked  # type: ignore[assignment]  # Django itself only reads it
        model = args[0] if args else kwargs["model"]
        self._before, self._after = _key(model, before), _key(model, after)
        self._request = request
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
        # Only here: a row's history and the search of its select boxes count what they show.
        self.paginator = KeysetPaginator(self.queryset, self.list_per_page)

    def _cut(self, queryset: QuerySet[Any]) -> tuple[list[Any], str | None, str | None]:
        size, up = self.list_per_page, self._after is not None
        start = self._after if up else self._before
        edge = None if self._indexed() else self._edge(start, up)
        page = queryset
        if start is not None:
            page = page.filter(pk__gt=start) if up else page.filter(pk__lt=start)
        if edge is not None:
            page = page.filter(pk__lte=edge) if up else page.filter(pk__gte=edge)
        found = list(page.order_by("pk" if up else "-pk")[: size + 1])
        rows = found[:size][::-1] if up else found[:size]
        full = len(found) > size
        if edge is not None and not full:
            self.looked_at, self.looked_to = f"{STRETCH:,}", self.model_admin.moment_of_key(edge)
        first, last = (rows[0].pk, rows[-1].pk) if rows else (start, start)
        further = edge is not None and not full  # nothing more here, but perhaps beyond
        if up:
            newer, older = (first if full else edge if further else None), last
        else:
            newer, older = (None if start is None else first), (last if full else edge if further else None)
        return rows, self._link(BEFORE, older), self._link(AFTER, newer)

    def _link(self, side: str, key: Any) -> str | None:
        return None if key is None else self.get_query_string({side: key})

    def _indexed(self) -> bool:
        """Nothing but what an index answers in the order of the list."""
        if self.query and not getattr(self._request, "cogo_search_is_indexed", False):
            return False
        given = [name for name in self.get_filters_params() if name not in self.model_admin.windows]
        if self.query:
            return not given
        if len(given) != 1:
            return not given
        return given[0] in self.model_admin.indexed and (given[0], self.params_of(given[0])) not in self.model_admin.scanned

    def params_of(self, name: str) -> str:
        value = self.get_filters_params()[name]
        return str(value[-1] if isinstance(value, list) else value)

    def _edge(self, start: Any, up: bool) -> Any:
        """The key of the last row that is looked at; ``None`` when the table ends before."""
        keys = self.root_queryset.order_by("pk" if up else "-pk").values_list("pk", flat=True)
        if start is not None:
            keys = keys.filter(pk__gt=start) if up else keys.filter(pk__lt=start)
        return next(iter(keys[STRETCH - 1 : STRETCH]), None)


def _key(model: type[Model], text: str) -> Any:
    """A primary key out of a query string; ``None`` for nonsense, which begins at the first page."""
    try:
        return model._meta.pk.to_python(text) if text else None
    except ValidationError:
        return None


class KeysetAdmin(ReadOnlyAdmin):
    """A read-only list of a big table. ``indexed``: filters that an index answers in the order of the list, when given alone; ``windows``:
    those that only cut the range of keys; ``scanned``: values of indexed filters that the index leaves out."""

    indexed: frozenset[str] = frozenset()
    windows: frozenset[str] = frozenset()
    scanned: frozenset[tuple[str, str]] = frozenset()
    # Where the key is a plain number.
    moment_field = "created_at"
    whole_hint = "look further back for the rest"
    show_full_result_count = False
    sortable_by = ()

    def moment_of_key(self, key: Any) -> datetime | None:
        """When the row with this key was written."""
        if isinstance(key, uuid.UUID):
            return moment_of(key)
        found: datetime | None = self.model._default_manager.filter(pk=key).values_list(self.moment_field, flat=True).first()
        return found

    @override
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList
