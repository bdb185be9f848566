"""Cache rules and purge marks as the catalogue snapshot carries them. Three short queries."""

from __future__ import annotations

import time

from llm_gateway.core.caching import LONGEST_S, CacheRules
from llm_gateway.core.caching import CacheRule as Rule
from llm_gateway.models import CachePurge, CacheRule
from llm_gateway.policies.agreement import refusal

_SWITCH = {"on": True, "off": False}


def cache_rules() -> CacheRules:
    gateway = None
    keys: dict[int, Rule] = {}
    aliases: dict[str, Rule] = {}
    for row in CacheRule.objects.select_related("alias__cache_measure").order_by("id"):
        rule = Rule(on=_SWITCH.get(row.switch), chance=row.chance, shared=row.shared, ttl_s=row.ttl_s, semantic=_semantic(row))
        if row.client_key_id is not None:
            keys[row.client_key_id] = rule
        elif row.alias is not None:
            aliases[row.alias.name] = rule
        else:
            gateway = rule
    oldest = time.time() - LONGEST_S
    marks = {(scope, whose): at for scope, whose, at in CachePurge.objects.filter(at__gt=oldest).values_list("scope", "whose", "at")}
    return CacheRules(gateway=gateway, keys=keys, aliases=aliases, marks=marks)


def _semantic(row: CacheRule) -> str:
    """Whoever wrote the row: nothing is served that the measure does not allow."""
    if row.semantic != "on" or row.alias is None:
        return row.semantic
    measure = getattr(row.alias, "cache_measure", None)
    return "on" if measure is not None and not refusal(measure.right, measure.judged) else "shadow"
