"""Saved views: a person keeps a report's filters under a name, and gets rid of them again. Nobody sees another's."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from llm_gateway.core.roles import READS_REPORTS

from .models import SavedView
from .reports import reports

MOST = 30
LONGEST = 1000
# Of one moment, or another file of the same.
_NOT_KEPT = frozenset({"format", "csrfmiddlewaretoken"})


def of(request: HttpRequest, page: str) -> list[dict[str, Any]]:
    """This person's views of a page, with the one that is shown marked."""
    now = _kept(request.GET.urlencode())
    rows = SavedView.objects.filter(user_id=request.user.pk or 0, page=page)
    return [{"pk": row.pk, "name": row.name, "url": f"?{row.query}", "shown": row.query == now} for row in rows]


@require_POST
def save(request: HttpRequest, page: str) -> HttpResponse:
    """The same name again replaces what it stood for."""
    _check(request, page)
    name = " ".join(request.POST.get("name", "").replace("\x00", "").split())[:60]
    query = _kept(request.POST.get("query", ""))
    if not name:
        messages.warning(request, "Give the view a name.")
    elif len(query) > LONGEST:
        messages.warning(request, "These filters are too long to be kept.")
    elif SavedView.objects.filter(user_id=request.user.pk or 0).count() >= MOST:
        messages.warning(request, f"{MOST} views are kept; delete one first.")
    else:
        SavedView.objects.update_or_create(user_id=request.user.pk or 0, page=page, name=name, defaults={"query": query})
        messages.success(request, f"The view “{name}” is kept.")
    return HttpResponseRedirect(f"{reverse('reports:report', args=[page])}?{query}")


@require_POST
def delete(request: HttpRequest, page: str, pk: int) -> HttpResponse:
    _check(request, page)
    if not SavedView.objects.filter(pk=pk, user_id=request.user.pk or 0, page=page).delete()[0]:
        raise Http404
    return HttpResponseRedirect(reverse("reports:report", args=[page]))


def _check(request: HttpRequest, page: str) -> None:
    if page not in reports:
        raise Http404
    if not request.user.has_perm(READS_REPORTS):
        raise PermissionDenied


def _kept(text: str) -> str:
    """In one form, so that the same filters are the same text."""
    try:
        pairs = parse_qsl(text.replace("\x00", ""), max_num_fields=100)
    except ValueError:
        return ""
    return urlencode([(name, value) for name, value in pairs if name not in _NOT_KEPT])


save_view, delete_view = admin.site.admin_view(save), admin.site.admin_view(delete)
