"""What the shadow has measured, alias by alias; and the way back when it gets worse."""

from __future__ import annotations

from django.db.models import F

from llm_gateway.models import Alias, CacheMeasure, CacheRule, trail
from llm_gateway.policies.agreement import refusal


def note(alias: str, right: bool) -> None:
    """One more judged hit. An alias that serves and falls below its bound goes back to the shadow, and the audit trail says so."""
    owner = Alias.objects.filter(name=alias).first()
    if owner is None:
        return
    CacheMeasure.objects.get_or_create(alias=owner)
    CacheMeasure.objects.filter(alias=owner).update(judged=F("judged") + 1, right=F("right") + int(right))
    rule = CacheRule.objects.filter(alias=owner, semantic="on").first()
    if not right and rule is not None and (why := refusal_of(alias)):
        rule.semantic = "shadow"
        rule.save(update_fields=["semantic"])
        trail.record("did", rule, detail=f"Back to the shadow: {why}")


def refusal_of(alias: str) -> str:
    """Why the alias may not answer nearly the same question yet; empty: it may."""
    found = CacheMeasure.objects.filter(alias__name=alias).first()
    return refusal(found.right if found else 0, found.judged if found else 0)
