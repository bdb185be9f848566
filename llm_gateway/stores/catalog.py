"""The catalogue snapshot: built from the ORM in one thread, handed out as an immutable value."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from msgspec import structs

from llm_gateway.core.catalog import (
    AliasInfo,
    BodyLogging,
    CanaryInfo,
    Credential,
    Identity,
    Lifecycle,
    ModelInfo,
    ProviderInfo,
    Scope,
    Snapshot,
    StrategyInfo,
)
from llm_gateway.core.host_facts import NOTHING, HostFacts, read_facts
from llm_gateway.core.keys import KeyState
from llm_gateway.core.learning import Learnt
from llm_gateway.core.money import Rate, per_token_pusd
from llm_gateway.core.secret import Secret
from llm_gateway.models import (
    Alias,
    AliasTarget,
    Budget,
    CatalogueVersion,
    ClientKey,
    LanguageModel,
    LearnerState,
    PolicyVersion,
    Price,
    Provider,
    ProviderKey,
    ReplacedKey,
    Strategy,
)
from llm_gateway.providers.presets import facts_of

from . import vault
from .cache_rules import cache_rules
from .outage import crowded

log = logging.getLogger("cogo.catalog")


def load_snapshot() -> Snapshot:
    """Read everything in one transaction, some fifteen queries whatever the number of rows. Raises ``django.db.Error``."""
    with transaction.atomic():
        version = CatalogueVersion.current()
        providers = {row.pk: _provider(row) for row in Provider.objects.filter(enabled=True)}
        credentials = _credentials(providers)
        models = _models(providers)
        everyones = list(Budget.objects.filter(enabled=True).order_by("id"))
        budgets = [one for one in everyones if not one.end_user]
        strategies = list(Strategy.objects.all())
        return Snapshot(
            version=version,
            providers=providers,
            credentials=credentials,
            models={m.name: m for m in models},
            aliases=_aliases(),
            strategies={
                s.name: StrategyInfo(name=s.name, kind=s.kind, settings=s.settings, revision=s.revision, version=s.version)
                for s in strategies
            },
            active_strategy=next((s.name for s in strategies if s.active), "enterprise"),
            clients=_clients(budgets, [one for one in everyones if one.end_user]),
            provider_budgets=_grouped(budgets, "provider_id"),
            model_budgets=_grouped(budgets, "model_id"),
            gateway_budgets=_gateway_budgets(budgets),
            patterns=tuple(m for m in models if m.pattern),
            settings=_settings(),
            canary=_canary(),
            learnt=_learnt(strategies),
            cache=cache_rules(),
        )


def _learnt(strategies: list[Strategy]) -> dict[int, Learnt]:
    """Only where a strategy learns: the others never look at it."""
    if not any(row.kind == "learned" for row in strategies):
        return {}
    return {row.model_id: msgspec.convert(row.learnt, Learnt) for row in LearnerState.objects.exclude(learnt={})}


def _canary() -> CanaryInfo | None:
    row = PolicyVersion.objects.filter(state="active", canary_share__isnull=False).select_related("strategy").first()
    if row is None or row.strategy is None or row.canary_share is None:
        return None
    info = StrategyInfo(name=row.strategy.name, kind=row.kind, settings=row.settings, version=row.number)
    return CanaryInfo(strategy=info, share=row.canary_share)


def _provider(row: Provider) -> ProviderInfo:
    return ProviderInfo(
        id=row.pk,
        slug=row.slug,
        title=row.title,
        service=row.service,
        wire=row.wire,
        base_url=row.base_url.rstrip("/"),
        priority=row.priority,
        weight=row.weight,
        allow_private=row.allow_private,
        ignore_health=row.ignore_health,
        simulated=row.simulated,
        connect_timeout_ms=row.connect_timeout_ms,
        first_event_timeout_ms=row.first_event_timeout_ms,
        idle_timeout_ms=row.idle_timeout_ms,
        total_timeout_ms=row.total_timeout_ms,
        habits=facts_of(row.preset, row.service),
        facts=_own_facts(row.facts, row.slug),
    )


def _own_facts(value: Any, name: str) -> HostFacts:
    """One row with facts that cannot be read must not take the catalogue out of service."""
    try:
        return read_facts(value)
    except ValueError as error:
        log.error("the facts of a row are left out", extra={"row": name, "reason": str(error)})
        return NOTHING


def _credentials(providers: dict[int, ProviderInfo]) -> dict[int, tuple[Credential, ...]]:
    found: dict[int, list[Credential]] = defaultdict(list)
    for row in ProviderKey.objects.filter(enabled=True, provider_id__in=providers).order_by("id"):
        try:
            secret = vault.open_sealed(row.ciphertext, place=vault.place_of(row)) if row.ciphertext else Secret("")
        except vault.VaultError as error:
            # One unreadable key must not take the others out of service.
            log.error("a provider key cannot be decrypted", extra={"provider_key": row.pk, "reason": str(error)})
            continue
        state = KeyState(row.state)
        found[row.provider_id].append(
            Credential(id=row.pk, provider_id=row.provider_id, name=row.name, secret=secret, state=state, weight=row.weight)
        )
    return {provider: tuple(keys) for provider, keys in found.items()}


def _models(providers: dict[int, ProviderInfo]) -> list[ModelInfo]:
    rates: dict[int, list[Rate]] = defaultdict(list)
    for price in Price.objects.filter(model__enabled=True):
        rates[price.model_id].append(rate_of(price))
    rows = LanguageModel.objects.filter(enabled=True, provider_id__in=providers).select_related("successor")
    return [
        ModelInfo(
            id=row.pk,
            provider_id=row.provider_id,
            name=row.name,
            upstream_id=row.upstream_id,
            title=row.title or row.name,
            lifecycle=_lifecycle(row),
            retires_on=row.retires_on,
            successor=row.successor.name if row.successor else None,
            context_window=row.context_window,
            max_output_tokens=row.max_output_tokens,
            capabilities=frozenset(row.capabilities or ()),
            rates=tuple(rates[row.pk]),
            pattern="*" in row.upstream_id,
            auto=row.auto,
            position=row.position,
            facts=_own_facts(row.facts, row.name),
        )
        for row in rows
    ]


def _lifecycle(row: LanguageModel) -> Lifecycle:
    """What the row says, and what the calendar says of a deprecated model whose day has come."""
    if row.lifecycle != Lifecycle.RETIRED and row.retires_on and row.retires_on <= timezone.now().date():
        return Lifecycle.RETIRED
    return Lifecycle(row.lifecycle)


def rate_of(price: Price) -> Rate:
    """A price row as the engine calculates with it."""

    def per_token(value: Decimal | None) -> int | None:
        return per_token_pusd(value)

    return Rate(
        price_id=price.pk,
        effective_from=price.effective_from,
        min_prompt_tokens=price.min_prompt_tokens,
        tier=price.tier,
        input=per_token(price.input) or 0,
        output=per_token(price.output) or 0,
        cache_read=per_token(price.cache_read),
        cache_write=per_token(price.cache_write),
        cache_write_1h=per_token(price.cache_write_1h),
        reasoning=per_token(price.reasoning),
        audio_input=per_token(price.audio_input),
        audio_output=per_token(price.audio_output),
        image_input=per_token(price.image_input),
        image_output=per_token(price.image_output),
        request=_each(price.request),
        web_search=_each(price.web_search),
    )


def _each(usd: Decimal | None) -> int:
    """USD for one, in pico-USD."""
    return int(usd * 10**12) if usd else 0


def _aliases() -> dict[str, AliasInfo]:
    names: dict[str, list[str]] = defaultdict(list)
    rows = AliasTarget.objects.filter(alias__enabled=True).order_by("alias_id", "position", "id")
    for alias, model in rows.values_list("alias__name", "model__name"):
        names[alias].append(model)
    empty = Alias.objects.filter(enabled=True, targets=None).values_list("name", flat=True)
    return {name: AliasInfo(name=name, models=tuple(models)) for name, models in (*names.items(), *((n, []) for n in empty))}


def _clients(budgets: list[Budget], of_end_users: list[Budget]) -> dict[str, tuple[bytes, Identity]]:
    by_key = _grouped(budgets, "client_key_id")
    by_team = _grouped(budgets, "team_id")
    everyone = _gateway_budgets(budgets)
    narrow: dict[tuple[str, int | None], dict[str, tuple[int, ...]]] = defaultdict(dict)
    for one in of_end_users:
        owned = narrow["key", one.client_key_id] if one.client_key_id else narrow["team", one.team_id]
        owned[one.end_user] = (*owned.get(one.end_user, ()), one.pk)
    clients = {}
    lately = timezone.now() - timedelta(days=90)
    before: dict[int, list[ReplacedKey]] = defaultdict(list)
    for old in ReplacedKey.objects.filter(dies_at__gte=lately):
        before[old.client_key_id].append(old)
    for row in ClientKey.objects.select_related("team", "strategy").filter(Q(revoked_at=None) | Q(revoked_at__gte=lately)):
        identity = Identity(
            client_key_id=row.pk,
            public_id=row.public_id,
            name=row.name,
            team_id=row.team_id,
            team=row.team.slug,
            scopes=frozenset(s for s in Scope if s.value in row.scopes),
            models=frozenset(row.models_allowed or ()),
            strategy=row.strategy.name if row.strategy else None,
            max_tokens=row.max_tokens,
            max_concurrency=row.max_concurrency,
            requests_per_minute=row.requests_per_minute,
            tokens_per_minute=row.tokens_per_minute,
            addresses=tuple(row.addresses or ()),
            budgets=by_key.get(row.pk, ()) + by_team.get(row.team_id, ()) + everyone,
            end_users=_both(narrow.get(("key", row.pk)), narrow.get(("team", row.team_id))),
            bodies=BodyLogging(row.team.bodies),
            allow_unpriced=row.allow_unpriced,
            expires_at=row.expires_at,
            revoked=row.revoked_at is not None or not row.team.enabled,
        )
        clients[row.public_id] = (bytes(row.digest), identity)
        for old in before[row.pk]:
            ends = old.dies_at if row.expires_at is None else min(old.dies_at, row.expires_at)
            clients[old.public_id] = (bytes(old.digest), structs.replace(identity, public_id=old.public_id, expires_at=ends))
    return clients


def _both(one: dict[str, tuple[int, ...]] | None, other: dict[str, tuple[int, ...]] | None) -> dict[str, tuple[int, ...]]:
    if not one or not other:
        return one or other or {}
    return {name: (*one.get(name, ()), *other.get(name, ())) for name in one.keys() | other.keys()}


def _grouped(budgets: list[Budget], field: str) -> dict[int, tuple[int, ...]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for budget in budgets:
        owner: int | None = getattr(budget, field)
        if owner is not None:
            groups[owner].append(budget.pk)
    return {owner: tuple(ids) for owner, ids in groups.items()}


def _gateway_budgets(budgets: list[Budget]) -> tuple[int, ...]:
    return tuple(b.pk for b in budgets if b.client_key_id is None and b.team_id is None and b.provider_id is None and b.model_id is None)


def _settings() -> dict[str, Any]:
    cogo = settings.COGO
    ceiling = per_token_pusd(Decimal(cogo["unpriced_ceiling_usd_per_million"]))
    return {
        "unpriced": cogo["unpriced"],
        "unpriced_ceiling_pusd": ceiling,
        "end_user_key": vault.end_user_key(),
        "digest_key": vault.digest("decisions"),
    }


class SnapshotCatalog:
    """Implements the engine's ``Catalog`` port. :meth:`refresh` runs in a worker thread; the event loop only reads the newest value."""

    def __init__(self, changed: Callable[[Snapshot], None] | None = None) -> None:
        self._snapshot: Snapshot | None = None
        self._changed = changed
        self.healthy = False

    def snapshot(self) -> Snapshot:
        if self._snapshot is None:
            from llm_gateway.core.errors import StoreUnavailable

            raise StoreUnavailable("The gateway is starting and has no catalogue yet; try again shortly.", retry_after_s=1)
        return self._snapshot

    def refresh(self, *, force: bool = False) -> bool:
        """Load a newer snapshot if there is one; returns whether it did. A database that is away leaves the old one in force."""
        try:
            if force or self._snapshot is None or CatalogueVersion.current() != self._snapshot.version:
                self._snapshot = load_snapshot()
                self.healthy = True
                if self._changed:
                    self._changed(self._snapshot)
                return True
            self.healthy = True
        except DatabaseError as error:
            # Readers of the console who took every connection do not end the relay; a database that is away is known by the journal.
            self.healthy = self.healthy and crowded(error)
            log.warning("the catalogue cannot be read", extra={"reason": type(error).__name__})
        return False
