"""Searching the request log. Ids and tags are answered by an index over the whole table; other words are looked for in a stretch of it."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from llm_gateway.models import Attempt, ClientKey, RequestLog, Team
from llm_gateway.policies.end_users import pseudonym
from llm_gateway.stores import vault

HELP = "A request id or its beginning, a provider's id, a tag, a client key; or words of an error, an end user (3 characters or more)."
SHORTEST, LONGEST = 3, 200
_MOST_FOUND = 1000
_PSEUDONYM = re.compile(r"[0-9a-f]{32}")
_ID = re.compile(r"[0-9a-f]{8,32}")


def by_index(term: str) -> Q | None:
    """The rows an index answers for: exactly this id, provider's id or tag, or ids that begin so. ``None``: there are none."""
    found = Q()
    plain = term.lower().removeprefix("req_").replace("-", "")
    if _ID.fullmatch(plain):
        first, last = UUID(plain.ljust(32, "0")), UUID(plain.ljust(32, "f"))
        if RequestLog.objects.filter(pk__gte=first, pk__lte=last).exists():
            found |= Q(pk__gte=first, pk__lte=last)
    attempts = Attempt.objects.filter(~Q(upstream_request_id=""), upstream_request_id=term)
    if ids := list(attempts.order_by("-request_id").values_list("request_id", flat=True)[:_MOST_FOUND]):
        found |= Q(pk__in=ids)
    if RequestLog.objects.filter(~Q(tag=""), tag=term).exists():
        found |= Q(tag=term) & ~Q(tag="")
    if RequestLog.objects.filter(end_user__in=(users := pseudonyms(term))).exists():
        found |= Q(end_user__in=users)
    # One key's requests are a piece of an index; those of several of one name are looked for like words.
    keys = list(ClientKey.objects.filter(Q(name__iexact=term) | Q(public_id=term)).values_list("pk", flat=True)[:2])
    if not found and len(keys) == 1:
        return Q(client_key_id=keys[0])
    return found or None


def pseudonyms(term: str) -> list[str]:
    """What an end user of this name is called in each team; a pseudonym is one already."""
    if _PSEUDONYM.fullmatch(term):
        return [term]
    key = vault.end_user_key()
    return [pseudonym(key, team, term) for team in Team.objects.values_list("pk", flat=True)[:_MOST_FOUND]]


def by_words(queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
    """Rows that say ``term`` somewhere; the list looks at a bounded stretch of them. Wildcards are plain characters."""
    said = Attempt.objects.filter(request=OuterRef("pk"), detail__icontains=term)
    user = Q(metadata__user_id=term) | Q(metadata__user=term)
    code = term.lower().replace(" ", "_")
    keys = list(ClientKey.objects.filter(name__icontains=term).values_list("pk", flat=True)[:_MOST_FOUND])
    told = Q(error_code__icontains=code) | Q(error_message__icontains=term)
    names = Q(tag__icontains=term) | Q(asked_model__icontains=term) | Q(client_key_id__in=keys)
    return queryset.filter(user | told | names | Exists(said))
