"""Report pages of the console: parse, compute, render."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from llm_gateway.core.money import to_usd
from llm_gateway.core.roles import READS, READS_REPORTS
from llm_gateway.models import Budget, ClientKey, Team, trail

from . import asking, days, exports, queries, saved_views
from .charts import rendered
from .links import Requests
from .models import ORIGINS
from .reports import Chart, Column, Sheet, reports
from .reports._names import TITLES, Named, title_of
from .streaming import streamed

MOST_ROWS = 500
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@require_safe
def report(request: HttpRequest, name: str) -> HttpResponse | StreamingHttpResponse:
    if name not in reports:
        raise Http404
    if not request.user.has_perm(READS_REPORTS):
        raise PermissionDenied
    chosen = reports.get(name)
    found = asking.read(chosen, request.GET, timezone.now())
    sheet = chosen.build(found.asked)
    file = f"{name}-{found.first_day:%Y%m%d}-{found.last_day:%Y%m%d}"
    if request.GET.get("format") in ("csv", "xlsx"):
        trail.record("exported", name=f"{chosen.title} report", detail=_query(request)[:300])
    match request.GET.get("format"):
        case "csv":
            return _attachment(streamed(request, exports.csv_lines(sheet), "text/csv; charset=utf-8"), f"{file}.csv")
        case "xlsx":
            return _attachment(streamed(request, exports.xlsx(sheet, chosen.title), XLSX_TYPE), f"{file}.xlsx")
    asked = found.asked
    rows = list(islice(sheet.rows, MOST_ROWS + 1))
    links = Requests(found.first_day, found.last_day, found.asked.zone) if request.user.has_perm(READS) else None
    context = {
        **admin.site.each_context(request),
        "title": f"{chosen.title} report",
        "report": chosen,
        "problems": found.problems,
        "sheet": sheet,
        "table": _cells(sheet, rows[:MOST_ROWS], links),
        "more": len(rows) > MOST_ROWS,
        "most": MOST_ROWS,
        "chart": rendered(sheet.chart, _jumps(sheet.chart, links)) if sheet.chart else None,
        "ranges": asking.RANGES,
        "zones": _zones(asked.zone),
        "saved_views": saved_views.of(request, name),
        "zone": asked.zone,
        "preset": found.preset,
        "first_day": found.first_day.isoformat(),
        "last_day": found.last_day.isoformat(),
        "groups": [(group, title_of(group), group in asked.group_by) for group in chosen.groups],
        "options": chosen.options(),
        "option": asked.option,
        "selects": _selects(asked),
        "simulated": request.GET.get("simulated", ""),
        "query": _query(request),
        "some_simulated": asked.filters.simulated is None and queries.simulated_requests(asked.start, asked.end),
    }
    return TemplateResponse(request, "admin/analytics/report.html", context)


def shown(column: Column, value: Any) -> str:
    """A cell for people."""
    if value is None:
        return column.absent or "—"
    match column.kind:
        case "count":
            return f"{value:,}"
        case "usd":
            return f"{'−' if value < 0 else ''}${abs(to_usd(value)):,.{column.digits}f}"
        case "share":
            return f"{value:.1%}"
        case "ms":
            return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"
        case _:
            return str(value)


def _jumps(chart: Chart, links: Requests | None) -> list[list[str]]:
    return links.of_chart(chart.by, [series.key for series in chart.series], chart.days) if links is not None and chart.by else []


def _cells(sheet: Sheet, rows: Sequence[tuple[Any, ...]], links: Requests | None) -> dict[str, Any]:
    """Rows as HTML at once: the template engine takes ten times as long for thousands of cells. A number of requests leads to them."""
    place = next((at for at, column in enumerate(sheet.columns) if column.name == "requests"), None)
    classes = ["n" if column.kind != "text" else "" for column in sheet.columns]

    def line(row: tuple[Any, ...]) -> tuple[SafeString]:
        texts = [shown(column, value) if value != "" else "" for column, value in zip(sheet.columns, row, strict=True)]
        if links is not None and place is not None:
            meant = {column.name: value.key for column, value in zip(sheet.columns, row, strict=True) if isinstance(value, Named)}
            if meant and (url := links.of(meant)):
                texts[place] = format_html('<a class="cogo-link" href="{}">{}</a>', url, texts[place])
        return (format_html_join("", '<td class="{}">{}</td>', zip(classes, texts, strict=True)),)

    return {
        "heads": [(column.title, column.kind != "text") for column in sheet.columns],
        "rows": format_html_join("\n", "<tr>{}</tr>", (line(row) for row in rows)),
        "totals": line(sheet.totals)[0] if sheet.totals else "",
    }


def _selects(asked: Any) -> list[dict[str, Any]]:
    """Drop-downs of what occurs in the range, each with what is chosen."""
    filters = asked.filters
    found = []
    for name in ("provider", "model"):
        values = queries.choices(name, asked.start, asked.end)
        chosen = getattr(filters, name)
        if chosen and chosen not in values:
            values = sorted([*values, chosen])
        found.append({"name": name, "title": TITLES[name], "options": [(v, v, v == chosen) for v in values]})
    clients = ClientKey.objects.order_by("name").values_list("pk", "name")[:500]
    teams = Team.objects.order_by("name").values_list("pk", "name")[:500]
    for name, rows in (("client_key_id", clients), ("team_id", teams)):
        chosen = getattr(filters, name)
        found.append({"name": name, "title": TITLES[name], "options": [(pk, text, pk == chosen) for pk, text in rows]})
    origins = [(name, name, name == filters.origin) for name in ORIGINS]
    found.append({"name": "origin", "title": TITLES["origin"], "options": origins})
    return found


def _zones(chosen: str) -> list[str]:
    """The gateway's own, those of teams and budgets, and what is chosen; the browser adds its own."""
    found = set(Team.objects.order_by().values_list("timezone", flat=True)) | set(
        Budget.objects.order_by().values_list("timezone", flat=True)
    )
    return sorted({days.UTC_NAME, chosen, *(zone for zone in found if days.known(zone))}, key=lambda zone: (zone != days.UTC_NAME, zone))


def _query(request: HttpRequest) -> str:
    query = request.GET.copy()
    query.pop("format", None)
    return query.urlencode()


def _attachment(response: StreamingHttpResponse, name: str) -> StreamingHttpResponse:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response
