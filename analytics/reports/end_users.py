"""What callers spend on each of their own users: the ``user`` or ``metadata.user_id`` that a request names."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, Max, Q, Sum

from llm_gateway.core.outcomes import RequestState
from llm_gateway.models import ClientKey, RequestLog, Team

from . import reports
from ._base import Asked, Card, Column, Sheet
from ._money import money

# The dearest; the others are in the totals.
MOST = 500


class EndUsers:
    name = "end-users"
    title = "End users"
    icon = "person_search"
    position = 35
    summary = "What callers spent for each user they named. The gateway remembers a keyed pseudonym; the name is the newest request's own."
    dated = True
    groups = ()
    default_groups = ()
    option_title = ""

    def options(self) -> tuple[tuple[str, str], ...]:
        return ()

    def build(self, asked: Asked) -> Sheet:
        rows = RequestLog.objects.filter(
            asked.filters.log(), created_at__gte=asked.start, created_at__lt=asked.end, end_user__isnull=False
        ).exclude(state=RequestState.OPEN)
        sums: dict[str, Any] = {
            "requests": Count("id"),
            "refused": Count("id", filter=Q(state=RequestState.REJECTED)),
            "input": Sum("input_tokens"),
            "output": Sum("output_tokens"),
            "cost": Sum("cost_nusd"),
        }
        groups = rows.order_by().values("end_user", "team_id", "client_key_id").annotate(**sums, newest=Max("created_at"))
        found: list[Any] = list(groups.order_by(F("cost").desc(nulls_last=True), "end_user")[:MOST])
        # PostgreSQL knows no largest UUID, so each user's newest request is found by its time.
        last = RequestLog.objects.filter(end_user__in={row["end_user"] for row in found}, created_at__in={row["newest"] for row in found})
        named = {(user, at): metadata for user, at, metadata in last.values_list("end_user", "created_at", "metadata")}
        teams = dict(Team.objects.filter(pk__in={row["team_id"] for row in found}).values_list("pk", "name"))
        keys = dict(ClientKey.objects.filter(pk__in={row["client_key_id"] for row in found}).values_list("pk", "name"))
        total = rows.aggregate(**sums)
        users = rows.order_by().values("end_user").distinct().count()
        return Sheet(
            columns=_COLUMNS,
            rows=tuple(
                (
                    _name(named.get((row["end_user"], row["newest"]))), row["end_user"], teams.get(row["team_id"], ""),
                    keys.get(row["client_key_id"], "staff"), row["requests"], row["refused"], row["input"], row["output"], row["cost"],
                )
                for row in found
            ),
            totals=("", "", "", "", total["requests"], total["refused"], total["input"], total["output"], total["cost"]),
            cards=(Card("End users", f"{users:,}"), Card("Spent for them", money(total["cost"] or 0), f"{total['requests']:,} requests")),
            notes=() if len(found) < MOST else (f"The {MOST} dearest; the totals are of all.",),
            empty=("No request named an end user", "Callers name one with user (OpenAI's format) or metadata.user_id."),
        )  # fmt: skip


_COLUMNS = (
    Column("name", "User"),
    Column("end_user", "Pseudonym"),
    Column("team", "Team"),
    Column("client", "Client"),
    Column("requests", "Requests", "count"),
    Column("refused", "Refused", "count"),
    Column("input_tokens", "Input tokens", "count"),
    Column("output_tokens", "Output tokens", "count"),
    Column("cost_usd", "Cost", "usd"),
)


def _name(metadata: Any) -> str:
    found = (metadata.get("user_id") or metadata.get("user") or "") if isinstance(metadata, dict) else ""
    return str(found)[:200] or "(not kept)"


reports.add(EndUsers.name, EndUsers())
