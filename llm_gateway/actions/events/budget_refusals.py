"""A budget refuses requests. The journal tells the first refusal of a budget once per period; here is who goes on being refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count

from llm_gateway.core.errors import BudgetExhausted, RequestExceedsBudget
from llm_gateway.models import RequestLog

from . import events
from ._base import Event, Figure, Figures, Happening

CODES = (RequestExceedsBudget.code, BudgetExhausted.code)


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    since = now - timedelta(minutes=figures["minutes"])
    refused = RequestLog.objects.filter(created_at__gte=since, state="rejected", error_code__in=CODES)
    found = []
    rows = refused.order_by().values("team_id", "team__name", "client_key_id", "client_key__name")
    for row in rows.annotate(count=Count("id")):
        if row["count"] >= figures["requests"]:
            who = row["client_key__name"] or "staff in the browser"
            found.append(
                Happening(
                    f"key:{row['client_key_id'] or 0}:team:{row['team_id']}",
                    f"A budget refused {row['count']} request{'s' if row['count'] > 1 else ''} of {who} ({row['team__name']}) in the last "
                    f"{figures['minutes']} minutes.",
                )
            )
    return found


events.add(
    "budget_refusals",
    Event(
        title="Refusals by a budget",
        summary="A budget is used up, or too small for what a request may cost, so callers are refused.",
        look=look,
        kinds=frozenset({"exhausted", "too_small"}),
        figures=(Figure("requests", "From so many refusals on", 5), Figure("minutes", "Within so many minutes", 5, most=1440)),
    ),
)
