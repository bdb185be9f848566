"""Take kept answers out of reach: of a client key, a team, an alias, a model, or all. Every worker obeys within two seconds."""

from __future__ import annotations

import time
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from llm_gateway.core.caching import ALL, LONGEST_S, SCOPES, TEAM
from llm_gateway.models import Alias, CachedAnswer, CachePurge, ClientKey, LanguageModel, Team

from . import ActionError

CHUNK = 500


def purge_answers(scope: str, whose: str = "") -> int:
    """``whose``: a team's short name, a client key's public id, the name of an alias or a model; nothing for all. How many rows were
    deleted. What is still being made, and what workers hold in memory, is out of reach, too. Raises :class:`ActionError`."""
    owner = _owner(scope, whose)
    mark(scope, owner)
    return _delete(_rows(scope, owner))


def mark(scope: str, owner: str) -> None:
    """What was made up to now is out of reach, wherever it is kept."""
    now = time.time()
    with transaction.atomic():
        CachePurge.objects.update_or_create(scope=scope, whose=owner, defaults={"at": now})
        # No answer lives as long as these marks have stood.
        CachePurge.objects.filter(at__lt=now - LONGEST_S - 86_400).delete()


def forget_teams(teams: set[int]) -> None:
    """Erasure: whatever these teams were answered may have come from the one who is erased."""
    for team in sorted(teams):
        mark(TEAM, str(team))
        _delete(_rows(TEAM, str(team)))


def expire_answers(now: datetime | None = None) -> int:
    """Kept answers past their time. How many were deleted."""
    return _delete(Q(expires_at__lte=now or timezone.now()))


def _owner(scope: str, whose: str) -> str:
    if scope not in SCOPES:
        raise ActionError(f"Purge one of {', '.join(SCOPES)}.")
    if scope == ALL:
        if whose:
            raise ActionError("All is all: it takes no name.")
        return ""
    if not whose:
        raise ActionError(f"Name the {scope} whose answers are to be purged.")
    found: object
    match scope:
        case "team":
            found = Team.objects.filter(slug=whose).values_list("pk", flat=True).first()
        case "key":
            found = ClientKey.objects.filter(public_id=whose).values_list("pk", flat=True).first()
        case "alias":
            found = Alias.objects.filter(name=whose).values_list("name", flat=True).first()
        case _:
            found = LanguageModel.objects.filter(name=whose).values_list("name", flat=True).first()
    if found is None:
        raise ActionError(f"There is no {scope} named {whose}.")
    return str(found)


def _rows(scope: str, owner: str) -> Q:
    match scope:
        case "team":
            return Q(team_id=int(owner))
        case "key":
            return Q(client_key_id=int(owner))
        case "alias":
            return Q(asked_model=owner)
        case "model":
            return Q(model_name=owner)
    return Q()


def _delete(which: Q) -> int:
    """In short steps, so that no request waits."""
    total = 0
    while ids := list(CachedAnswer.objects.filter(which).order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        total += CachedAnswer.objects.filter(pk__in=ids).delete()[0]
    return total
