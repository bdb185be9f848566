"""What the operators lived through: a key that went bad, alerts, colleagues, a cache that was switched on."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from llm_gateway.actions.store_provider_key import store_provider_key
from llm_gateway.core.money import format_usd
from llm_gateway.models import Alert, AlertRule, Attempt, Budget, CacheRule, KeyCheck, Provider, ProviderKey, QualityRule

from .traffic import BAD_KEY, DOWN, OUTAGE
from .writing import write

_COLLEAGUES = (("Olga", "operator"), ("Finn", "finance"), ("Vera", "viewer"))
_WENT = "openai"


def key_that_went_bad(now: datetime) -> tuple[int, str]:
    """(id, provider): it was valid for weeks, then refused, and was switched off."""
    provider = Provider.objects.get(slug=_WENT)
    key = store_provider_key(provider, "sim-invalid-retired", "old team key")
    fell, ended = (now - timedelta(days=one) for one in BAD_KEY)
    reason = "The provider refused it: incorrect API key."
    ProviderKey.objects.filter(pk=key.pk).update(
        enabled=False, state="invalid", reason=reason, checked_at=ended, next_check_at=None, created_at=now - timedelta(days=60)
    )
    checks = [(fell - timedelta(hours=6 * n), "valid", "", "schedule") for n in range(8, 0, -1)]
    checks += [(fell, "invalid", reason, "traffic"), (ended, "invalid", reason, "demand")]
    write(
        KeyCheck,
        [
            {"provider_key_id": key.pk, "at": at, "state": state, "reason": why, "latency_ms": 180, "trigger": by}
            for at, state, why, by in checks
        ],
    )
    return key.pk, _WENT


def tell(now: datetime, exhausted: Budget) -> None:
    """Alerts of then and now, all of them delivered; colleagues; rules of cache and quality."""
    exhausted.refresh_from_db()
    outage = tuple(now - timedelta(days=one) for one in OUTAGE)
    bad = tuple(now - timedelta(days=one) for one in BAD_KEY)
    tried = Attempt.objects.filter(provider_slug=DOWN, started_at__range=outage)
    failed, minutes = tried.filter(outcome="failed").count(), round((outage[1] - outage[0]).total_seconds() / 60)
    if failed:
        text = f"{DOWN} failed {failed} of {tried.count()} attempts in {minutes} minutes."
        _event("provider_failing", f"provider:{DOWN}", text, *outage)
    _event("key_invalid", f"key:{_WENT}", f"The key {_WENT} · old team key is invalid: incorrect API key.", *bad)
    at = now - timedelta(hours=20)
    spent = exhausted.posted_nusd
    for kind, threshold, when in (("threshold", 50, 90), ("threshold", 80, 44), ("exhausted", 100, 20)):
        Alert.objects.create(
            budget=exhausted, budget_name=exhausted.name, period_id=exhausted.period_id, kind=kind, threshold=threshold,
            limit_nusd=exhausted.limit_nusd, spent_nusd=spent * threshold // 100, created_at=now - timedelta(hours=when), sent_at=at,
            text=f"{format_usd(spent * threshold // 100)} of {format_usd(exhausted.limit_nusd)} USD" if kind == "threshold" else "",
            seen_at=None if kind == "exhausted" else at, seen_by="" if kind == "exhausted" else "Olga",
        )  # fmt: skip
    Budget.objects.filter(pk=exhausted.pk).update(alerted=[50, 80, 100, f"exhausted@{exhausted.limit_nusd}"])
    for name, role in _COLLEAGUES:
        user, made = get_user_model().objects.get_or_create(username=name, defaults={"is_staff": True, "first_name": name})
        if made:
            user.set_unusable_password()
            user.save()
            user.groups.add(*Group.objects.filter(name=role))
    CacheRule.objects.get_or_create(client_key=None, alias=None, defaults={"switch": "on", "ttl_s": 86_400})
    QualityRule.objects.get_or_create(team=None, defaults={"share": 25, "lint": True})


def _event(event: str, about: str, text: str, begun: datetime, ended: datetime) -> None:
    rule = AlertRule.objects.filter(event=event).first()
    if rule is not None:
        Alert.objects.create(
            rule=rule, event=event, kind="event", about=about, text=text, budget_name="", threshold=0, limit_nusd=0, spent_nusd=0,
            created_at=begun, last_at=ended, resolved_at=ended, sent_at=begun, seen_at=ended, seen_by="Olga",
        )  # fmt: skip
