"""Make an empty database one that serves, and bring a used one up to its environment. Run at every start; asks nothing.

What it makes once (operator account, first client key, strategies, catalogue rows) it remembers, so that what the operator removes stays
removed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import msgspec
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from llm_gateway.core.catalog import Lifecycle, Scope
from llm_gateway.core.keys import public_id_of
from llm_gateway.models import Alias, CatalogueVersion, ClientKey, LanguageModel, Price, Provider, ProviderKey, Strategy
from llm_gateway.providers import services
from llm_gateway.strategies import strategies

from . import ActionError
from ._memory import recall, remember
from .activate_strategy import activate_strategy
from .create_client_key import create_client_key, ensure_team
from .import_prices import import_prices
from .load_catalogue import CatalogueLoad, load_catalogue
from .own_password import must_change
from .raise_alerts import ensure_rules
from .store_provider_key import store_provider_key
from .sync_schedules import sync_schedules

MEMORY = "bootstrap"
TEAM = "Default"
FIRST_STRATEGY = "enterprise"
ENVIRONMENT_KEY = "environment"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a start has to tell. ``password`` and ``client_key`` are set in the one run that made them and shown once.

    ``configured``: providers with a key that may be routed to; ``unchecked``: ids of keys that want a check; ``notes``: sentences for the
    operator.
    """

    username: str
    password: str | None = None
    client_key: str | None = None
    configured: tuple[str, ...] = ()
    unchecked: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    catalogue: CatalogueLoad = CatalogueLoad()


def bootstrap(environment: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None) -> Report:
    """Idempotent and safe when two processes start at once. Raises :class:`ActionError` for a setting that cannot work.

    ``environment`` and ``options`` default to what the settings read.
    """
    environment = settings.COGO_ENVIRONMENT if environment is None else environment
    options = settings.COGO if options is None else options
    notes: list[str] = []
    with transaction.atomic():
        _queue_up()
        memory = recall(MEMORY)
        before = msgspec.json.encode(memory)
        catalogue = load_catalogue()
        _prices(memory, catalogue, notes)
        ensure_team(TEAM)
        _strategies(memory)
        username, password = _operator(options, notes)
        client_key = _client_key(options, memory, notes)
        _provider_keys(environment, notes)
        _models(environment, memory, notes)
        sync_schedules()
        ensure_rules()
        if msgspec.json.encode(memory) != before:
            remember(MEMORY, memory)
    routable = list(ProviderKey.objects.filter(enabled=True, provider__enabled=True).select_related("provider"))
    return Report(
        username=username,
        password=password,
        client_key=client_key,
        configured=tuple(dict.fromkeys(key.provider.slug for key in routable)),
        unchecked=tuple(key.pk for key in routable if key.checked_at is None),
        notes=tuple(notes),
        catalogue=catalogue,
    )


def _queue_up() -> None:
    """Whoever starts second waits here until the first has finished."""
    CatalogueVersion.objects.get_or_create(pk=1)
    CatalogueVersion.objects.select_for_update().get(pk=1)


def _prices(memory: dict[str, Any], catalogue: CatalogueLoad, notes: list[str]) -> None:
    """All published prices the first time; afterwards only those of new models, and word of what changed."""
    package = version("genai-prices")
    first = not Price.objects.exists()
    if not first and memory.get("prices") == package and not catalogue.models_created:
        return
    result = import_prices(approve=first)
    memory["prices"] = package
    if result.changed:
        notes.append(f"{result.changed} published prices differ from the price book; see: manage.py import_prices --dry-run")


def _strategies(memory: dict[str, Any]) -> None:
    seen = set(memory.get("strategies", ()))
    for name, strategy in strategies.items():
        if name not in seen and not Strategy.objects.filter(name=name).exists():
            Strategy.objects.create(name=name, kind=name, title=strategy.title, settings=strategy.validate({}))
    memory["strategies"] = sorted(seen | set(strategies))
    if not Strategy.objects.filter(active=True).exists():
        if not Strategy.objects.filter(name=FIRST_STRATEGY).exists():
            kind = strategies.get(FIRST_STRATEGY)
            Strategy.objects.create(name=FIRST_STRATEGY, kind=FIRST_STRATEGY, title=kind.title, settings=kind.validate({}))
        activate_strategy(FIRST_STRATEGY, via="first start")


def _operator(options: Mapping[str, Any], notes: list[str]) -> tuple[str, str | None]:
    """The account that may everything: made when there is none. Its password is returned only when it was made up here."""
    users = get_user_model()
    name = str(options["superuser_name"])
    present = users.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if present is not None:
        return present.get_username(), None
    if users.objects.filter(**{users.USERNAME_FIELD: name}).exists():
        notes.append(f"There is no active superuser, and the name {name} is taken; run: manage.py createsuperuser")
        return name, None
    given = str(options["superuser_password"])
    if given and (why := _weak(given, name)):
        if options.get("exposed"):
            raise ActionError(f"DJANGO_SUPERUSER_PASSWORD is too easy to guess ({why}); set another one, or unset it to have one made")
        notes.append(f"DJANGO_SUPERUSER_PASSWORD is too easy to guess ({why}); change it before others can reach the console.")
    password = given or secrets.token_urlsafe(15)
    made = users.objects.create_superuser(name, str(options["superuser_email"]), password)
    if not given:
        must_change(made)
    return name, None if given else password


def _weak(password: str, name: str) -> str:
    """What the rules for passwords say against it."""
    try:
        validate_password(password, get_user_model()(**{get_user_model().USERNAME_FIELD: name}))
    except ValidationError as error:
        return str(error.messages[0]).rstrip(".")
    return ""


def _client_key(options: Mapping[str, Any], memory: dict[str, Any], notes: list[str]) -> str | None:
    preset = str(options["bootstrap_client_key"]).strip()
    if preset:
        public_id = public_id_of(preset)
        name = ENVIRONMENT_KEY
        if ClientKey.objects.filter(name=name).exclude(public_id=public_id or "").exists():
            name = f"{ENVIRONMENT_KEY} {public_id}"
        try:
            row, _ = create_client_key(name, ensure_team(TEAM), list(Scope), preset=preset)
        except ActionError as error:
            raise ActionError(f"COGO_BOOTSTRAP_CLIENT_KEY: {error}") from None
        if row.revoked_at is not None:
            notes.append("The key in COGO_BOOTSTRAP_CLIENT_KEY was revoked and stays so; set another one.")
        memory["client_key"] = True
        return None
    if memory.get("client_key") or ClientKey.objects.exists():
        return None
    memory["client_key"] = True
    return create_client_key("first", ensure_team(TEAM), list(Scope))[1]


def _provider_keys(environment: Mapping[str, str], notes: list[str]) -> None:
    """A key per variable that is set. A row the operator gave another secret is the operator's from then on."""
    providers = {provider.slug: provider for provider in Provider.objects.prefetch_related("keys")}
    for name, service in services.items():
        for variable in service.facts.key_env:
            secret, provider = environment.get(variable, ""), providers.get(name)
            if not secret:
                continue
            if provider is None or provider.simulated:
                notes.append(f"{variable} is not used: the provider {name} {'is simulated' if provider else 'was deleted'}.")
                continue
            rows = list(provider.keys.all())
            mine = next((key for key in rows if key.from_environment == variable), None)
            taken = next((key for key in rows if key.name == ENVIRONMENT_KEY), None)
            if mine is None and taken is not None:
                notes.append(f"{variable} is not used: the key “{ENVIRONMENT_KEY}” of {name} was changed in the admin.")
                continue
            try:
                store_provider_key(provider, secret, mine.name if mine else ENVIRONMENT_KEY, variable)
            except ActionError as error:
                raise ActionError(f"{variable}: {error}") from None


def _models(environment: Mapping[str, str], memory: dict[str, Any], notes: list[str]) -> None:
    """``*_MODEL``: the model a provider is used with. Applied when the variable's value is new, so that a later edit stays."""
    applied = memory.setdefault("models", {})
    for name, service in services.items():
        for variable in service.facts.model_env:
            wanted = environment.get(variable, "").strip()
            provider = Provider.objects.filter(slug=name).first()
            if not wanted:
                applied.pop(variable, None)
            if not wanted or provider is None or applied.get(variable) == wanted:
                continue
            applied[variable] = wanted
            note = _prefer(provider, wanted)
            if note:
                notes.append(f"{variable}={wanted}: {note}")


def _prefer(provider: Provider, wanted: str) -> str:
    """Make it the one model of ``provider`` that strategies choose. Returns a sentence when that is not what happened."""
    model = _find(provider, wanted)
    if model is not None and model.lifecycle == Lifecycle.RETIRED:
        instead = f"; {model.successor.name} answers in its place" if model.successor else ""
        return f"the provider retired this model{instead if provider.models.filter(auto=True).exists() else ''}."
    if model is None:
        upstream_id = wanted.removeprefix(f"{provider.slug}/")
        taken = LanguageModel.objects.filter(name=upstream_id).exists()
        model = LanguageModel(provider=provider, name=f"{provider.slug}/{upstream_id}" if taken else upstream_id, upstream_id=upstream_id)
        note = "a model the catalogue does not know; it has no price until one is entered."
    else:
        note = ""
    model.auto, model.enabled, model.position = True, True, 0
    model.save()
    provider.models.filter(auto=True).exclude(pk=model.pk).update(auto=False)
    return note


def _find(provider: Provider, wanted: str) -> LanguageModel | None:
    short = wanted.removeprefix(f"{provider.slug}/")
    models = provider.models.select_related("successor")
    for query in ({"upstream_id": wanted}, {"name": wanted}, {"upstream_id": short}, {"name": short}):
        if found := models.filter(**query).first():
            return found
    alias = Alias.objects.filter(name=wanted).prefetch_related("targets").first()
    targets = [target.model_id for target in alias.targets.all()] if alias else []
    first = models.filter(pk=targets[0]).first() if targets else None
    # A retired name also has the model that stands in for it.
    return first if first is not None and targets[1:] in ([], [first.successor_id]) else None
