"""Query strings of the figures' addresses: read strictly. What is unknown is refused with 400, never ignored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import InvalidRequest
from llm_gateway.models import ClientKey, Team

from .queries import Filters

DEFAULT_RANGE = timedelta(days=30)
LONGEST_RANGE = timedelta(days=800)
SELECTING = {
    "model": "Name of the model that served.",
    "provider": "Its provider's slug.",
    "strategy": "The strategy that chose.",
    "client": "Name or public id of a client key.",
    "origin": "Who began them: live, batch, shadow, judge or embed.",
}
BETWEEN = {
    "from": "From this ISO 8601 date or time on (UTC where it names no zone); 30 days ago when absent.",
    "to": "Before this ISO 8601 date or time; now when absent.",
}


def read(params: Any, known: Mapping[str, str]) -> dict[str, str]:
    """The filters of a query string; an unknown or repeated one is refused."""
    found: dict[str, str] = {}
    for name in params:
        if name == "format":  # which page to draw
            continue
        values = params.getlist(name)
        if name not in known:
            raise InvalidRequest(f"There is no filter `{name[:40]}`; use {', '.join(known)}.", param=name[:40])
        if len(values) != 1 or "\x00" in values[0] or len(values[0]) > 200:
            raise InvalidRequest(f"`{name}` takes one value of at most 200 characters.", param=name)
        if values[0]:
            found[name] = values[0]
    return found


def filters(identity: Identity, asked: Mapping[str, str]) -> Filters:
    """What was asked for, within what the caller may see. A client that is not there, or not in the caller's team, has no figures."""
    team = _team(asked["team"]) if "team" in asked else None
    if identity.client_key_id is not None:
        team = identity.team_id if team in (None, identity.team_id) else -1
    client = None
    if "client" in asked:
        rows = ClientKey.objects.filter(Q(name=asked["client"]) | Q(public_id=asked["client"]))
        client = (rows.filter(team_id=team) if team is not None else rows).values_list("pk", flat=True).first() or -1
    plain = {name: asked.get(name) for name in ("model", "provider", "strategy", "kind", "tag", "origin")}
    return Filters(team_id=team, client_key_id=client, simulated=_simulated(asked.get("simulated")), **plain)


def between(asked: Mapping[str, str]) -> tuple[datetime, datetime]:
    until = _moment("to", asked["to"]) if "to" in asked else timezone.now()
    since = _moment("from", asked["from"]) if "from" in asked else until - DEFAULT_RANGE
    if since >= until:
        raise InvalidRequest("`from` has to be before `to`.", param="from")
    if until - since > LONGEST_RANGE:
        raise InvalidRequest(f"At most {LONGEST_RANGE.days} days can be asked for at once.", param="from")
    return since, until


def _team(value: str) -> int:
    """A team that is not there has no figures, nor has another's for a client key."""
    return Team.objects.filter(Q(slug=value) | Q(name=value)).values_list("pk", flat=True).first() or -1


def _simulated(value: str | None) -> bool | None:
    match value:
        case None:
            return None
        case "only":
            return True
        case "without":
            return False
    raise InvalidRequest("`simulated` is `only` or `without`.", param="simulated")


def _moment(name: str, value: str) -> datetime:
    try:
        found = parse_datetime(value)
        if found is None and (day := parse_date(value)) is not None:
            found = datetime.combine(day, time.min)
        if found is not None and 2000 <= found.year <= 2200:
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(f"`{name}` has to be an ISO 8601 date or time, such as 2026-11-22T10:00:00Z.", param=name)
