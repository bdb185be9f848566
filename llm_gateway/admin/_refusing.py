"""What budgets refuse now: how often in the last quarter of an hour, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfoNotFoundError

from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from llm_gateway.models import Budget, RequestLog
from llm_gateway.policies.periods import period_bounds

from ._keyset import first_id_at
from ._show import badge

LATELY = timedelta(minutes=15)


def refusals_since(now: datetime) -> dict[str, Any]:
    """Annotations of budgets: ``refused_lately``, and the code of the newest refusal. Both are read from an index of refusals alone."""
    lately = RequestLog.objects.filter(refused_by__isnull=False, refused_by=OuterRef("pk"), pk__gte=first_id_at(now - LATELY))
    counted = lately.order_by().values("refused_by").annotate(number=Count("pk")).values("number")
    return {
        "refused_lately": Coalesce(Subquery(counted, output_field=IntegerField()), 0),
        "refused_with": Subquery(lately.order_by("-pk").values("error_code")[:1]),
    }


def refusing(row: Any) -> str:
    """A badge, how often, and until when, with a link to what was refused; empty where nothing was. ``row`` has the annotations."""
    if not row.refused_lately:
        return ""
    url = f"{reverse('admin:llm_gateway_requestlog_changelist')}?{urlencode({'budget': row.pk, 'when': '15m'})}"
    times = "once" if row.refused_lately == 1 else f"{row.refused_lately:,} times"
    return format_html(
        '<span class="cogo-sub">{} <a class="cogo-link" href="{}">{} in 15 minutes</a>, {}</span>',
        badge("refusing now", "bad"), url, times, until(row, row.refused_with or ""),
    )  # fmt: skip


def until(row: Budget, code: str) -> str:
    """When it lets requests through again, as far as that is known."""
    if code == "request_exceeds_budget":
        return "each could cost more than the whole limit"
    if code == "budget_in_flight":
        return "until running requests end"
    try:
        _, end = period_bounds(row.period, row.timezone, timezone.now(), row.reset)
    except (ZoneInfoNotFoundError, ValueError):
        end = None
    return f"until {end.astimezone(timezone.get_default_timezone()):%Y-%m-%d %H:%M} UTC or a raise" if end else "until it is raised"
