"""Bring today's providers, models and aliases into the database. Run it as often as you like.

A row the operator edited keeps every value that is set; only what is empty is filled in. Whether and in which order a model is used
(``enabled``, ``auto``, ``position``) is the operator's from the first load on. Nothing is deleted, and what the operator deleted stays
deleted until it is asked back.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.db import transaction

from llm_gateway.models import Alias, AliasTarget, LanguageModel, Provider
from llm_gateway.providers import services

from ._catalogue_files import SOURCE, ModelRow, aliases, models
from ._memory import recall, remember

MEMORY = "catalogue"
_FACTS = ("title", "lifecycle", "retires_on", "context_window", "max_output_tokens", "capabilities", "note")

_EMPTY: tuple[Any, ...] = (None, "", [])


class CatalogueLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows were made or brought up to date. ``kept``: names left as the operator has them although the catalogue differs;
    ``deleted``: names the operator deleted."""

    providers_created: int = 0
    models_created: int = 0
    models_updated: int = 0
    models_unchanged: int = 0
    aliases_created: int = 0
    aliases_updated: int = 0
    kept: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


def load_catalogue(dry_run: bool = False, restore: bool = False) -> CatalogueLoad:
    """Idempotent. ``dry_run`` counts and writes nothing; ``restore`` brings back what the operator deleted."""
    with transaction.atomic():
        result = _Load({} if restore else recall(MEMORY)).run()
        if dry_run:
            transaction.set_rollback(True)
    return result


class _Load:
    """One run, inside a transaction. ``seen``: names per kind that an earlier run made."""

    def __init__(self, seen: dict[str, list[str]]) -> None:
        self._seen = {kind: set(seen.get(kind, ())) for kind in ("providers", "models", "aliases")}
        self._before = {kind: set(names) for kind, names in self._seen.items()}
        self._kept: list[str] = []
        self._deleted: list[str] = []

    def run(self) -> CatalogueLoad:
        providers, providers_created = self._providers()
        rows = [(providers[service], row) for service, rows in models().items() if service in providers for row in rows]
        created, updated = self._models(rows)
        self._successors([row for _, row in rows])
        aliases_created, aliases_updated = self._aliases()
        if self._seen != self._before:
            remember(MEMORY, {kind: sorted(names) for kind, names in self._seen.items()})
        return CatalogueLoad(
            providers_created=providers_created,
            models_created=created,
            models_updated=updated,
            models_unchanged=len(rows) - created - updated,
            aliases_created=aliases_created,
            aliases_updated=aliases_updated,
            kept=tuple(self._kept),
            deleted=tuple(self._deleted),
        )

    def _was_deleted(self, kind: str, name: str) -> bool:
        """Of a name that is absent now. One never seen is to be made, and counts as seen from here on."""
        if name in self._seen[kind]:
            self._deleted.append(name)
            return True
        self._seen[kind].add(name)
        return False

    def _providers(self) -> tuple[dict[str, Provider], int]:
        """By service: the row of the service's own name, made from its file where it is missing."""
        known = {provider.slug: provider for provider in Provider.objects.all()}
        made = 0
        for name, service in services.items():
            facts = service.facts
            if name in known or facts.base_url is None or facts.wire is None or self._was_deleted("providers", name):
                continue
            known[name] = Provider.objects.create(
                slug=name, title=facts.title, service=name, wire=facts.wire, base_url=facts.base_url, priority=facts.priority
            )
            made += 1
        return {slug: provider for slug, provider in known.items() if provider.service == slug}, made

    def _models(self, rows: list[tuple[Provider, ModelRow]]) -> tuple[int, int]:
        known = {model.name: model for model in LanguageModel.objects.all()}
        by_id = {(model.provider_id, model.upstream_id): model for model in known.values()}
        fresh, updated = [], 0
        for provider, row in rows:
            model = by_id.get((provider.pk, row.id))
            if model is not None:
                changes = _changes(model, row)
                if changes:
                    for name, value in changes.items():
                        setattr(model, name, value)
                    model.save(update_fields=[*changes, "updated_at"])
                    updated += 1
                elif _own(model) and any(_value(row, name) != getattr(model, name) for name in _FACTS):
                    self._kept.append(row.name)
                self._seen["models"].add(row.name)
            elif row.name in known:
                self._kept.append(row.name)
            elif not self._was_deleted("models", row.name):
                fresh.append(LanguageModel(provider=provider, source=SOURCE, **_new(row)))
        if fresh:
            LanguageModel.objects.bulk_create(fresh)
        return len(fresh), updated

    def _successors(self, rows: list[ModelRow]) -> None:
        known = {model.name: model for model in LanguageModel.objects.all()}
        for row in rows:
            model, successor = known.get(row.name), known.get(row.successor or "")
            if model is None or successor is None or model.successor_id == successor.pk:
                continue
            if model.successor_id is None or not _own(model):
                model.successor = successor
                model.save(update_fields=["successor", "updated_at"])

    def _aliases(self) -> tuple[int, int]:
        known = {alias.name: alias for alias in Alias.objects.prefetch_related("targets")}
        by_name = {model.name: model for model in LanguageModel.objects.all()}
        fresh: list[tuple[Alias, list[LanguageModel]]] = []
        updated = 0
        for name, targets in aliases().items():
            wanted = [by_name[target] for target in targets if target in by_name]
            # A model's own name may be an alias only for that model and who stands in for it.
            if not wanted or (name in by_name and (targets[0] != name or by_name[name].source != SOURCE)):
                continue
            alias = known.get(name)
            if alias is None:
                if not self._was_deleted("aliases", name):
                    fresh.append((Alias(name=name, source=SOURCE), wanted))
                continue
            self._seen["aliases"].add(name)
            present = [entry.model_id for entry in alias.targets.all()]
            if present == [model.pk for model in wanted]:
                continue
            if present and _own(alias):
                self._kept.append(name)
                continue
            alias.targets.all().delete()
            AliasTarget.objects.bulk_create(_targets(alias, wanted))
            updated += 1
        if fresh:
            Alias.objects.bulk_create([alias for alias, _ in fresh])
            AliasTarget.objects.bulk_create([target for alias, wanted in fresh for target in _targets(alias, wanted)])
        return len(fresh), updated


def _targets(alias: Alias, models: list[LanguageModel]) -> list[AliasTarget]:
    return [AliasTarget(alias=alias, model=model, position=position) for position, model in enumerate(models)]


def _own(row: LanguageModel | Alias) -> bool:
    """Whether the operator edited or made it."""
    return row.edited or row.source != SOURCE


def _new(row: ModelRow) -> dict[str, Any]:
    facts = {name: _value(row, name) for name in _FACTS}
    return {"name": row.name, "upstream_id": row.id, "position": row.position, "auto": row.auto, **facts}


def _value(row: ModelRow, name: str) -> Any:
    value = getattr(row, name)
    return list(value) if name == "capabilities" else value


def _changes(model: LanguageModel, row: ModelRow) -> dict[str, Any]:
    """What a load sets on a row that exists; of the operator's own only what is empty. What the catalogue does not know it leaves."""
    own = _own(model)
    changes = {}
    for name in _FACTS:
        value, present = _value(row, name), getattr(model, name)
        says_nothing = value in _EMPTY and name not in ("retires_on", "note")
        if value != present and not says_nothing and (not own or present in _EMPTY):
            changes[name] = value
    return changes
