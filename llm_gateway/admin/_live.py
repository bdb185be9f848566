"""The live tail of the request list: one small answer every two seconds.

The page says which row is its newest and which of its rows were still open. Nothing newer and nothing ended: 204, after one look at the end
of the primary key's index. Else the rows alone, as the list draws them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from llm_gateway.models import RequestLog

from ._keyset import KeysetChangeList, first_id_at, moment_of

MOST_ROWS = 50
# Rows are committed a little after their ids are made, so one look begins a little before the last.
OVERLAP = timedelta(seconds=3)
# A page that slept longer than this is drawn anew by its reader.
LONGEST_SLEEP = timedelta(minutes=5)


class LiveChangeList(KeysetChangeList):
    """The same filters as the list; the rows are those that arrived or ended since."""

    def get_results(self, request: HttpRequest) -> None:
        newest: UUID = request.cogo_live[0]  # type: ignore[attr-defined]
        ended: list[UUID] = request.cogo_live[1]  # type: ignore[attr-defined]
        since = first_id_at(max(moment_of(newest) - OVERLAP, timezone.now() - LONGEST_SLEEP))
        rows = list(self.queryset.filter(pk__gte=since).exclude(pk=newest).order_by("-pk")[:MOST_ROWS])
        if ended:
            known = {row.pk for row in rows}
            rows += [row for row in self.root_queryset.filter(pk__in=ended).order_by("-pk") if row.pk not in known]
        self.result_list = rows
        self.result_count = self.full_result_count = len(rows)
        self.show_admin_actions = self.can_show_all = self.multi_page = False


def rows_since(admin: Any, request: HttpRequest) -> HttpResponse:
    """``newest``: the id of the page's first row; ``open``: ids of its open rows, with commas; the rest are the list's own filters."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    query = request.GET.copy()
    newest, open_ids = _id(query.pop("newest", [""])[-1]), [_id(one) for one in query.pop("open", [""])[-1].split(",")[:MOST_ROWS]]
    request.GET = query  # type: ignore[assignment]  # Django itself only reads it
    if newest is None:
        newest = first_id_at(timezone.now())
    still = [one for one in open_ids if one is not None]
    ended = list(RequestLog.objects.filter(pk__in=still).exclude(state="open").values_list("pk", flat=True)) if still else []
    if not ended and not RequestLog.objects.filter(pk__gt=newest).order_by().exists():
        return HttpResponse(status=204)
    request.cogo_live = newest, ended  # type: ignore[attr-defined]
    cl = admin.get_changelist_instance(request)
    if not cl.result_list:
        return HttpResponse(status=204)
    cl.formset = None
    response = TemplateResponse(request, "admin/llm_gateway/request_rows.html", {"cl": cl, "opts": admin.opts})
    response["Cache-Control"] = "no-store"
    return response


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) in (32, 36) else None
    except ValueError:
        return None
