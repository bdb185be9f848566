"""Issue a client key. Its text exists in the return value and nowhere else: what is stored is a public id and a keyed digest."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from llm_gateway.core.catalog import Scope
from llm_gateway.core.errors import PermissionDenied
from llm_gateway.core.keys import compose_client_key, public_id_of
from llm_gateway.core.money import NUSD, to_nusd
from llm_gateway.models import Alias, Budget, ClientKey, LanguageModel, Provider, ReplacedKey, Strategy, Team
from llm_gateway.policies.allowed import AUTO, STRATEGY, covered, fits, is_pattern
from llm_gateway.policies.callers import normalized, within
from llm_gateway.stores import vault

from . import ActionError
from ._rights import beyond_rights

DEFAULT_SCOPES = (Scope.GENERATE, Scope.ANALYZE, Scope.READ)
_CEILINGS = ("max_tokens", "max_concurrency", "requests_per_minute", "tokens_per_minute", "expires_at")
_THRESHOLDS = [50, 80, 100]
_FORMS = "A list may hold models, aliases, PROVIDER/ID, patterns such as PROVIDER/* or claude-*, auto and strategy:NAME."
MOST_USD = Decimal(1_000_000_000)


def generate_client_key() -> str:
    """A well-formed key that no row knows yet, for ``COGO_BOOTSTRAP_CLIENT_KEY``."""
    return compose_client_key(os.urandom(48))[0]


def ensure_team(name: str) -> Team:
    """The team of that name or slug, made where there is none."""
    name = name.strip()
    team = Team.objects.filter(slug=name).first() or Team.objects.filter(name=name).first()
    if team:
        return team
    slug = slugify(name)[:60]
    if not slug or len(name) > 100:
        raise ActionError("A team needs a name of at most 100 characters with at least one letter or digit.")
    if Team.objects.filter(slug=slug).exists():
        raise ActionError(f"The team name {name} reads like the team {slug}; use that one or choose another name.")
    return Team.objects.create(name=name, slug=slug)


def create_client_key(
    name: str,
    team: Team,
    scopes: Iterable[str] = DEFAULT_SCOPES,
    models: Iterable[str] = (),
    strategy: str | None = None,
    *,
    budget_usd: Decimal | None = None,
    period: str = Budget.Period.MONTH,
    max_tokens: int | None = None,
    max_concurrency: int | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    expires_at: datetime | None = None,
    allow_unpriced: bool = False,
    addresses: Iterable[str] = (),
    preset: str = "",
    by: Any = None,
    creator: ClientKey | None = None,
) -> tuple[ClientKey, str]:
    """The row and, once, the key's text.

    ``preset`` brings the text along (it must have our form); ``by`` is the staff member who asked, ``creator`` the client key that did:
    nothing may exceed what that person or key has. ``budget_usd`` makes a hard budget for the key. Raises :class:`ActionError`, or
    :class:`PermissionDenied` for more than the creator has.
    """
    row = ClientKey(
        team=team,
        name=name,
        scopes=list(scopes),
        models_allowed=list(models),
        strategy=_strategy(strategy),
        max_tokens=max_tokens,
        max_concurrency=max_concurrency,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        expires_at=expires_at,
        allow_unpriced=allow_unpriced,
        addresses=list(addresses),
    )
    return issue_client_key(row, by, budget_usd=budget_usd, period=period, preset=preset, creator=creator)


def issue_client_key(
    row: ClientKey,
    by: Any = None,
    *,
    budget_usd: Decimal | None = None,
    period: str = Budget.Period.MONTH,
    preset: str = "",
    creator: ClientKey | None = None,
) -> tuple[ClientKey, str]:
    """The same for a row that a form filled in and nobody saved."""
    row.name = row.name.strip()
    if not row.name or len(row.name) > 100 or not row.name.isprintable():
        raise ActionError("A client key needs a name of at most 100 printable characters.")
    row.scopes = _scopes(row.scopes)
    row.models_allowed = checked_models(row.models_allowed)
    row.addresses = checked_addresses(row.addresses)
    limit = _limit(budget_usd, period)
    if row.expires_at is not None and row.expires_at <= timezone.now():
        raise ActionError("The key would have expired already; choose a later day.")
    if creator is not None:
        _within(row, creator, limit, period)
    if beyond := beyond_rights(row, by, limited=limit is not None):
        raise PermissionDenied(beyond[1])
    plain, public_id = _text(preset)
    row.public_id, row.digest = public_id, vault.digest(plain)
    row.created_by = by if getattr(by, "pk", None) else None
    known = ClientKey.objects.filter(public_id=public_id).first() or ReplacedKey.objects.filter(public_id=public_id).first()
    if known is not None:
        if hmac.compare_digest(bytes(known.digest), row.digest):
            return known.client_key if isinstance(known, ReplacedKey) else known, plain
        raise ActionError("Another client key has the same public part; make a new one with: manage.py create_client_key --generate-only")
    if ClientKey.objects.filter(team=row.team, name=row.name).exists():
        raise ActionError(f"The team {row.team.name} already has a client key named {row.name}; choose another name.")
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            if limit is not None:
                Budget.objects.create(
                    name=row.name,
                    client_key=row,
                    limit_nusd=limit,
                    period=period,
                    timezone=row.team.timezone,
                    thresholds=_THRESHOLDS,
                )
    except IntegrityError:
        raise ActionError(f"The team {row.team.name} already has a client key named {row.name}; choose another name.") from None
    return row, plain


def _text(preset: str) -> tuple[str, str]:
    if not preset:
        return compose_client_key(os.urandom(48))
    public_id = public_id_of(preset.strip())
    if public_id is None:
        raise ActionError("The given client key does not have the form of one; make one with: manage.py create_client_key --generate-only")
    return preset.strip(), public_id


def _scopes(scopes: Iterable[str]) -> list[str]:
    known = [scope.value for scope in Scope]
    wanted = {str(scope).strip() for scope in scopes}
    if unknown := sorted(wanted - set(known)):
        raise ActionError(f"There is no scope {', '.join(unknown)}; choose from {', '.join(known)}.")
    if not wanted:
        raise ActionError(f"A client key needs at least one scope of {', '.join(known)}.")
    return [scope for scope in known if scope in wanted]


def checked_addresses(texts: Iterable[str]) -> list[str]:
    """Addresses and networks as they are stored. Raises :class:`ActionError` for what is neither."""
    try:
        return list(dict.fromkeys(normalized(text) for text in texts if text.strip()))
    except ValueError as error:
        raise ActionError(str(error)) from None


def checked_models(names: Iterable[str]) -> list[str]:
    """What a key's list may hold: whatever a caller may write for a model, and patterns of it. Raises :class:`ActionError` for what
    nothing in the catalogue is meant by: a key with a mistyped list could use nothing."""
    wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not wanted:
        return []
    found = _Names()
    if unknown := [name for name in wanted if not found.knows(name)]:
        raise ActionError(f"There is no model or alias named {', '.join(unknown)}; see the list of models. {_FORMS}")
    return wanted


class _Names:
    """Every name that the catalogue gives a meaning to."""

    def __init__(self) -> None:
        rows = list(LanguageModel.objects.values_list("name", "provider__slug", "upstream_id"))
        self._strategies = {f"{STRATEGY}{name}" for name in Strategy.objects.values_list("name", flat=True)}
        self._providers = set(Provider.objects.values_list("slug", flat=True))
        self._aliases = set(Alias.objects.values_list("name", flat=True))
        # By one of its names, all of a model's.
        self._models = {name: {name, f"{slug}/{upstream_id}"} for name, slug, upstream_id in rows}
        self._models |= {f"{slug}/{upstream_id}": self._models[name] for name, slug, upstream_id in rows}
        self._open = [f"{slug}/{upstream_id}" for _, slug, upstream_id in rows if is_pattern(upstream_id)]
        self._open += [upstream_id for _, _, upstream_id in rows if is_pattern(upstream_id)]

    def knows(self, entry: str) -> bool:
        slug, slash, _ = entry.partition("/")
        if entry == AUTO or entry in self._models or entry in self._aliases:
            return True
        if entry.startswith(STRATEGY):
            return entry in self._strategies or (is_pattern(entry) and fits(entry, self._strategies))
        if is_pattern(entry):
            return (bool(slash) and slug in self._providers) or fits(entry, (*self._models, *self._aliases))
        return any(fits(pattern, (entry,)) for pattern in self._open)

    def of(self, entry: str) -> set[str]:
        """All names of the model that ``entry`` names; of anything else, itself."""
        return self._models.get(entry, {entry})


def _strategy(name: str | None) -> Strategy | None:
    if not name:
        return None
    found = Strategy.objects.filter(name=name).first()
    if found is None:
        known = ", ".join(Strategy.objects.values_list("name", flat=True))
        raise ActionError(f"There is no strategy named {name}; there are {known}.")
    return found


def _limit(usd: Decimal | None, period: str) -> int | None:
    if usd is None:
        return None
    if period not in Budget.Period.values:
        raise ActionError(f"A budget's period is one of {', '.join(Budget.Period.values)}.")
    if not usd.is_finite() or usd <= 0 or usd > MOST_USD or to_nusd(usd) == 0:
        raise ActionError("A budget is an amount in USD above 0 and at most 1,000,000,000.")
    return to_nusd(usd)


def _within(row: ClientKey, creator: ClientKey, limit: int | None, period: str) -> None:
    """A key made by a key never exceeds it; ceilings it leaves open are the creator's."""
    if creator.revoked_at is not None or (creator.expires_at is not None and creator.expires_at <= timezone.now()):
        raise PermissionDenied("The key that asks is no longer valid.")
    if Scope.MANAGE not in creator.scopes:
        raise PermissionDenied("Making client keys takes the scope manage.")
    if row.team_id != creator.team_id:
        raise PermissionDenied("A client key makes keys for its own team only.")
    if extra := [scope for scope in row.scopes if scope not in creator.scopes]:
        raise PermissionDenied(f"The key that asks does not have the scope {', '.join(extra)} itself.")
    if creator.models_allowed:
        known = _Names()
        if extra := [entry for entry in row.models_allowed if not any(covered(name, creator.models_allowed) for name in known.of(entry))]:
            raise PermissionDenied(f"The key that asks may not use {', '.join(extra)} itself.")
        row.models_allowed = row.models_allowed or list(creator.models_allowed)
    if row.allow_unpriced and not creator.allow_unpriced:
        raise PermissionDenied("The key that asks may not use unpriced models itself.")
    if creator.addresses:
        if not within(row.addresses, creator.addresses):
            raise PermissionDenied("The key that asks may not be used from all of these addresses itself.")
        row.addresses = row.addresses or list(creator.addresses)
    for name in _CEILINGS:
        ceiling, value = getattr(creator, name), getattr(row, name)
        if ceiling is not None and value is not None and value > ceiling:
            raise PermissionDenied(f"{name} would exceed that of the key that asks.")
        if ceiling is not None and value is None:
            setattr(row, name, ceiling)
    for budget in creator.budgets.filter(enabled=True, hard=True, end_user=""):
        if limit is None or limit > budget.limit_nusd or period != budget.period:
            raise PermissionDenied(
                f"The key that asks has a budget of {budget.limit_nusd / NUSD:g} USD per {budget.period}; give the new key one within it."
            )
