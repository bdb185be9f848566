"""Whether a request would be answered: keys, models, prices, the strategy in force, client keys, budgets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from llm_gateway.core.catalog import Lifecycle
from llm_gateway.core.keys import KeyState
from llm_gateway.models import Budget, ClientKey, LanguageModel, Price, Provider, ProviderKey, RequestLog, Strategy

from . import Diagnosis, count, examinations, fine, notice, problem

RETIRES_SOON = timedelta(days=30)
LISTED = 5


@examinations("Provider keys")
def provider_keys() -> Iterator[Diagnosis]:
    keys = list(ProviderKey.objects.filter(enabled=True, provider__enabled=True).select_related("provider"))
    if not any(key.state == KeyState.VALID for key in keys) and not Provider.objects.filter(enabled=True, ignore_health=True).exists():
        yield problem(
            "No provider has a valid key, so no model can answer.",
            "Paste one in the console under Provider keys, or set FIREWORKS_API_KEY and the like and restart.",
        )
    for key in keys:
        if key.state not in (KeyState.VALID, KeyState.UNCHECKED):
            reason = f": {key.reason}" if key.reason else ""
            finding = f"The key “{key.name}” of {key.provider.title} is {key.get_state_display()}{reason}."
            yield problem(finding, "Replace it, or switch it off.")
    unchecked = [key for key in keys if key.state == KeyState.UNCHECKED]
    if unchecked:
        yield notice(f"{count(len(unchecked), 'key')} never checked.", "Run: manage.py check_keys")
    valid = sum(key.state == KeyState.VALID for key in keys)
    if valid:
        yield fine(f"{valid} of {count(len(keys), 'provider key')} valid.")


@examinations("Models and prices")
def models_and_prices() -> Iterator[Diagnosis]:
    now = timezone.now()
    priced = Exists(Price.objects.filter(model=OuterRef("pk"), effective_from__lte=now))
    usable = LanguageModel.objects.filter(
        enabled=True, provider__enabled=True, provider__keys__enabled=True, provider__keys__state=KeyState.VALID
    ).distinct()
    unpriced = list(usable.exclude(lifecycle=Lifecycle.RETIRED).filter(~priced).values_list("name", flat=True))
    if unpriced:
        yield problem(
            f"{count(len(unpriced), 'usable model')} without a price, so requests for them are refused: {_some(unpriced)}.",
            "Enter prices in the console (0 for a free model), or allow unpriced models (docs/money.md).",
        )
    retired = list(
        usable.filter(lifecycle=Lifecycle.RETIRED)
        .filter(Exists(RequestLog.objects.filter(model=OuterRef("pk"), created_at__gte=now - timedelta(days=7))))
        .values_list("name", flat=True)
    )
    if retired:
        yield notice(f"Callers still use retired models: {_some(retired)}.", "Tell them the successor, or point the alias at it.")
    soon = list(
        usable.filter(retires_on__gte=now.date(), retires_on__lt=(now + RETIRES_SOON).date())
        .order_by("retires_on")
        .values_list("name", "retires_on")
    )
    if soon:
        dates = _some([f"{name} on {day}" for name, day in soon])
        yield notice(f"Models are about to retire: {dates}.", "Choose successors on their pages in the console.")
    if not (unpriced or retired or soon):
        yield fine(f"{count(usable.count(), 'callable model')}, each with a price.")


@examinations("Strategy")
def strategy() -> Iterator[Diagnosis]:
    active = Strategy.objects.filter(active=True).first()
    if active is None:
        yield problem("No strategy is active, so calls for `auto` are refused.", "Run: manage.py set_strategy enterprise")
    else:
        yield fine(f"The strategy “{active.title}” decides calls for `auto`.")


@examinations("Client keys and budgets")
def client_keys_and_budgets() -> Iterator[Diagnosis]:
    now = timezone.now()
    good = ClientKey.objects.filter(revoked_at=None, team__enabled=True).filter(Q(expires_at=None) | Q(expires_at__gt=now))
    if not good.exists():
        yield problem("No client key is valid, so no program can call.", "Run: manage.py create_client_key NAME")
    soon = list(good.filter(expires_at__lt=now + timedelta(days=7)).values_list("name", "expires_at"))
    if soon:
        dates = _some([f"{name} on {at:%Y-%m-%d}" for name, at in soon])
        yield notice(f"Client keys are about to expire: {dates}.", "Issue new ones in time.")
    used_up = Budget.objects.filter(
        enabled=True, hard=True, period_id__gt="", posted_nusd__gte=F("limit_nusd") + F("extra_nusd")
    ).values_list("name", flat=True)
    if used_up:
        yield notice(f"Hard budgets are used up and refuse requests: {_some(list(used_up))}.", "Raise them, or wait for the next period.")
    if good.exists() and not used_up:
        yield fine(f"{count(good.count(), 'valid client key')}, and no hard budget is used up.")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
