"""What a model name means: from the caller's word to the targets that may answer.

A name or alias means that model on any of its keys, in the order the operator wrote where an alias lists several; ``auto``, an empty
name and ``strategy:NAME`` mean a strategy over all routable models; ``PROVIDER/ID`` means that provider's model by its upstream id.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from llm_gateway.core.catalog import Identity, Lifecycle, ModelInfo, Snapshot, StrategyInfo, Target
from llm_gateway.core.errors import ModelNotFound, NotFound
from llm_gateway.policies.allowed import AUTO, STRATEGY, fits, is_pattern, opens, patterns
from llm_gateway.providers import services
from llm_gateway.strategies import forget_layouts

from .ways import forget_ways

NAMED = "named"


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """``strategy`` is ``None`` for a named model, whose ``targets`` are already in order. ``tiers`` numbers each target's place in an
    alias list; targets of one tier differ only in their key. ``stands_in_for``: the retired model that the alias means first, for which
    the targets answer. ``skipped``: (what, why) of what could not even become a target. ``auto``: nobody named a strategy, so the active
    one decides, or its canary."""

    targets: tuple[Target, ...]
    tiers: tuple[int, ...] = ()
    strategy: StrategyInfo | None = None
    named: str | None = None
    stands_in_for: str | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    auto: bool = False


class _Known:
    """What names mean in one catalogue. Names are the callers' to choose, so there is an end."""

    MOST = 4096
    MOST_CHARS = 200

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        # Each keeps its identity alive, so that its id stays its own.
        self.found: dict[tuple[int, str, str | None], tuple[Identity, Resolution]] = {}

    def of(self, snapshot: Snapshot) -> dict[tuple[int, str, str | None], tuple[Identity, Resolution]]:
        if snapshot is not self.snapshot or len(self.found) >= self.MOST:
            self.snapshot, self.found = snapshot, {}
            forget_ways()
            forget_layouts()
        return self.found


_known = _Known()


def resolve(snapshot: Snapshot, identity: Identity, asked: str, strategy: str | None = None) -> Resolution:
    """Raises :class:`ModelNotFound`, the same for a name that does not exist and one the key may not use. The targets are this call's own:
    a breaker tells by them whose answer it waits for."""
    key = id(identity), asked, strategy
    found = _known.of(snapshot)
    known = found.get(key)
    if known is None or known[0] is not identity:
        known = identity, _resolve(snapshot, identity, asked, strategy)
        if len(asked) <= _known.MOST_CHARS:
            found[key] = known
    meant = known[1]
    targets = meant.targets
    if len(targets) == 1:
        return _of_its_own(meant, (_again(targets[0]),))
    return _of_its_own(meant, tuple([_again(target) for target in targets]))


def _again(one: Target) -> Target:
    return Target(provider=one.provider, credential=one.credential, model=one.model, upstream_id=one.upstream_id, budgets=one.budgets)


def _of_its_own(meant: Resolution, targets: tuple[Target, ...]) -> Resolution:
    return Resolution(
        targets=targets, tiers=meant.tiers, strategy=meant.strategy, named=meant.named, stands_in_for=meant.stands_in_for,
        skipped=meant.skipped, auto=meant.auto,
    )  # fmt: skip


def _resolve(snapshot: Snapshot, identity: Identity, asked: str, strategy: str | None) -> Resolution:
    name = asked.strip()
    if name.startswith(STRATEGY):
        name, strategy = "", name.removeprefix(STRATEGY)
    if name in ("", AUTO):
        named = strategy or identity.strategy
        chosen = _by_strategy(snapshot, identity, named or snapshot.active_strategy)
        return chosen if named else msgspec.structs.replace(chosen, auto=True)
    models = _named(snapshot, name)
    if not permitted(snapshot, identity, name, models):
        raise unknown(snapshot, identity, name)
    live = [model for model in models if model.lifecycle is not Lifecycle.RETIRED]
    if not live:
        raise _retired(models[0])
    targets: list[Target] = []
    tiers: list[int] = []
    skipped: list[tuple[str, str]] = [(m.name, "retired by its provider") for m in models if m.lifecycle is Lifecycle.RETIRED]
    for tier, model in enumerate(live):
        upstream_id = _bare(snapshot, model, name) if model.pattern else model.upstream_id
        found, why = _targets(snapshot, model, upstream_id)
        targets += found
        tiers += [tier] * len(found)
        skipped += why
    gone = models[0].name if models[0].lifecycle is Lifecycle.RETIRED else None
    return Resolution(targets=tuple(targets), tiers=tuple(tiers), named=name, stands_in_for=gone, skipped=tuple(skipped))


def behind(snapshot: Snapshot, identity: Identity, asked: str, strategy: str | None = None) -> tuple[StrategyInfo | None, list[ModelInfo]]:
    """The strategy and the models that :func:`resolve` finds targets of, whatever the state of their keys. Raises as it does."""
    name = asked.strip()
    if name.startswith(STRATEGY):
        name, strategy = "", name.removeprefix(STRATEGY)
    if name in ("", AUTO):
        chosen = strategy or identity.strategy or snapshot.active_strategy
        models = {target.model.id: target.model for target in _by_strategy(snapshot, identity, chosen).targets}
        return snapshot.strategies[chosen], list(models.values())
    named = _named(snapshot, name)
    if not permitted(snapshot, identity, name, named):
        raise unknown(snapshot, identity, name)
    return None, [model for model in named if model.lifecycle is not Lifecycle.RETIRED]


def described(snapshot: Snapshot, identity: Identity, name: str) -> ModelInfo:
    """What stands behind a name that is listed or can be asked for; of several models, the first. Raises :class:`ModelNotFound`."""
    models = _named(snapshot, name) or [model for model in (snapshot.models.get(name),) if model]
    usable = [model for model in models if model.lifecycle is not Lifecycle.RETIRED and snapshot.credentials.get(model.provider_id)]
    if not usable or not permitted(snapshot, identity, name, models):
        raise unknown(snapshot, identity, name)
    return _like_known(snapshot, usable[0], name) if usable[0].pattern else usable[0]


def _like_known(snapshot: Snapshot, pattern: ModelInfo, name: str) -> ModelInfo:
    """What a name behind a pattern is, as far as the catalogue knows a model of that id."""
    upstream_id = _bare(snapshot, pattern, name)
    known = next((model for model in snapshot.models.values() if not model.pattern and model.upstream_id == upstream_id), None)
    if known is None:
        return msgspec.structs.replace(pattern, title=name)
    return msgspec.structs.replace(
        pattern,
        title=known.title,
        context_window=pattern.context_window if pattern.context_window is not None else known.context_window,
        max_output_tokens=pattern.max_output_tokens if pattern.max_output_tokens is not None else known.max_output_tokens,
        capabilities=pattern.capabilities or known.capabilities,
    )


def unknown(snapshot: Snapshot, identity: Identity, name: str) -> ModelNotFound:
    return ModelNotFound(
        f"The model `{name[:100]}` does not exist or this key may not use it. It may use: {_choice(snapshot, identity)}.", param="model"
    )


def _choice(snapshot: Snapshot, identity: Identity) -> str:
    words = (entry for entry in identity.models if entry == AUTO or entry.startswith(STRATEGY))
    usable = sorted({*usable_names(snapshot, identity), *words})
    return (", ".join(usable[:12]) + (" …" if len(usable) > 12 else "")) or "none"


def usable_names(snapshot: Snapshot, identity: Identity) -> Iterable[str]:
    """Names that this key may call and that some provider key could serve now. A pattern is no name: in its place stand the models of its
    service that are known to the catalogue."""
    for model in snapshot.models.values():
        if not _callable(snapshot, identity, model):
            continue
        if model.pattern:
            yield from _behind(snapshot, identity, model)
        elif permitted(snapshot, identity, model.name, [model]):
            yield model.name
    for alias in snapshot.aliases.values():
        models = [snapshot.models[m] for m in alias.models if m in snapshot.models]
        if any(_callable(snapshot, identity, m) for m in models) and permitted(snapshot, identity, alias.name, models):
            yield alias.name
    # What a list spells out may be known by another name, or be let through by a pattern of the catalogue.
    for entry in identity.models:
        if entry not in snapshot.models and entry not in snapshot.aliases and not is_pattern(entry):
            models = _named(snapshot, entry)
            callable_ = any(model.pattern and _callable(snapshot, identity, model) for model in models)
            if callable_ and permitted(snapshot, identity, entry, models):
                yield entry


def permitted(snapshot: Snapshot, identity: Identity, name: str, models: Iterable[ModelInfo]) -> bool:
    """Whether this key may ask for ``name``, which means ``models``: of several, for all of them."""
    found = list(models)
    return bool(found) and all(_allowed(snapshot, identity, name, model) for model in found)


def keyed_names(snapshot: Snapshot, identity: Identity) -> Iterable[str]:
    """Models this key may use whose provider has a key, even if a call would be refused for another reason: what is worth a test."""
    for model in snapshot.models.values():
        keyed = model.lifecycle is not Lifecycle.RETIRED and snapshot.credentials.get(model.provider_id)
        if keyed and permitted(snapshot, identity, model.name, [model]):
            yield model.name


def _callable(snapshot: Snapshot, identity: Identity, model: ModelInfo) -> bool:
    """Whether a request for it would get as far as a provider: not retired, a key that is in use, and a price that can be held."""
    provider = snapshot.providers.get(model.provider_id)
    if provider is None or model.lifecycle is Lifecycle.RETIRED:
        return False
    priced = bool(model.rates) or identity.allow_unpriced or snapshot.settings.get("unpriced") == "ceiling"
    keys = snapshot.credentials.get(model.provider_id, ())
    return priced and any(key.state.routable or provider.ignore_health for key in keys)


def _behind(snapshot: Snapshot, identity: Identity, pattern: ModelInfo) -> Iterable[str]:
    own = snapshot.providers[pattern.provider_id]
    if services.get(own.service).facts.base_url is None:
        return  # any host at all: what others of its kind have says nothing of it
    for model in snapshot.models.values():
        other = snapshot.providers.get(model.provider_id)
        if other is None or other.id == own.id or other.service != own.service or model.pattern or model.lifecycle is Lifecycle.RETIRED:
            continue
        name = f"{own.slug}/{model.upstream_id}"
        if fnmatchcase(model.upstream_id, pattern.upstream_id) and permitted(snapshot, identity, name, [pattern]):
            yield name


def _by_strategy(snapshot: Snapshot, identity: Identity, name: str) -> Resolution:
    info = snapshot.strategies.get(name)
    if info is None:
        raise NotFound(f"There is no strategy `{name[:60]}`. Known: {', '.join(sorted(snapshot.strategies))}.", param="strategy")
    targets: list[Target] = []
    skipped: list[tuple[str, str]] = []
    chosen = [m for m in snapshot.models.values() if m.auto and not m.pattern and m.lifecycle is not Lifecycle.RETIRED]
    if identity.models and not opens(identity.models, name):
        open_to = [model for model in chosen if _allowed(snapshot, identity, model.name, model)]
        if chosen and not open_to:
            raise ModelNotFound(
                f"This key may use no model that a strategy chooses from; name one of those it may use: {_choice(snapshot, identity)}.",
                param="model",
            )
        chosen = open_to
    for model in chosen:
        found, why = _targets(snapshot, model, model.upstream_id)
        targets += found
        skipped += why
    return Resolution(targets=tuple(targets), strategy=info, skipped=tuple(skipped))


def _named(snapshot: Snapshot, name: str) -> list[ModelInfo]:
    alias = snapshot.aliases.get(name)
    if alias is not None:
        return [snapshot.models[m] for m in alias.models if m in snapshot.models]
    model = snapshot.models.get(name)
    if model is not None and not model.pattern:
        return [model]
    slug, slash, upstream_id = name.partition("/")
    if slash:
        for provider in snapshot.providers.values():
            if provider.slug == slug:
                exact = [m for m in snapshot.models.values() if m.provider_id == provider.id and m.upstream_id == upstream_id]
                return exact or _fitting((m for m in snapshot.patterns if m.provider_id == provider.id), upstream_id)
    return _fitting(snapshot.patterns, name)


def _fitting(patterns: Iterable[ModelInfo], name: str) -> list[ModelInfo]:
    """The one pattern that says most about ``name``; of two overlapping ones a request must not try both."""
    found = [model for model in patterns if fnmatchcase(name, model.upstream_id)]
    return [max(found, key=lambda model: len(model.upstream_id))] if found else []


def _bare(snapshot: Snapshot, model: ModelInfo, name: str) -> str:
    slug, slash, rest = name.partition("/")
    return rest if slash and snapshot.providers[model.provider_id].slug == slug else name


def _targets(snapshot: Snapshot, model: ModelInfo, upstream_id: str) -> tuple[list[Target], list[tuple[str, str]]]:
    provider = snapshot.providers.get(model.provider_id)
    if provider is None:
        return [], [(model.name, "its provider is disabled")]
    credentials = snapshot.credentials.get(provider.id, ())
    if not credentials:
        return [], [(model.name, f"no key for {provider.title}")]
    budgets = snapshot.provider_budgets.get(provider.id, ()) + snapshot.model_budgets.get(model.id, ())
    found = []
    skipped = []
    for credential in credentials:
        if credential.state.routable or provider.ignore_health:
            found.append(Target(provider=provider, credential=credential, model=model, upstream_id=upstream_id, budgets=budgets))
        else:
            skipped.append((f"{model.name} with key {credential.name}", f"key is {credential.state.value.replace('_', ' ')}"))
    return found, skipped


def _allowed(snapshot: Snapshot, identity: Identity, asked: str, model: ModelInfo) -> bool:
    """By any name the model has: as asked, its own in the catalogue, and ``PROVIDER/ID``."""
    listed = identity.models
    if not listed or asked in listed or model.name in listed:
        return True
    provider = snapshot.providers.get(model.provider_id)
    upstream_id = _bare(snapshot, model, asked) if model.pattern and provider else model.upstream_id
    full = f"{provider.slug if provider else ''}/{upstream_id}"
    if full in listed:
        return True
    names = {full}
    if not model.pattern:
        names.add(model.name)
    if asked in snapshot.aliases or "/" not in asked:
        # Any other name with a slash is the provider's it begins with, and stands as ``full`` already: a key for ``openai/*`` does not
        # reach a host that lets names through which begin like this.
        names.add(asked)
    return any(fits(pattern, names) for pattern in patterns(listed))


def _retired(model: ModelInfo) -> ModelNotFound:
    when = f" on {model.retires_on.isoformat()}" if model.retires_on else ""
    then = f" Its successor is `{model.successor}`: ask for that, or have the operator point an alias at it." if model.successor else ""
    return ModelNotFound(f"The model `{model.name}` was retired by its provider{when}.{then}", param="model")
