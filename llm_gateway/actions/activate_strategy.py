"""Put a strategy in force for the whole gateway, with a history of who did and what was in force before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from llm_gateway.core.errors import Conflict
from llm_gateway.models import LanguageModel, Provider, Strategy, StrategyActivation
from llm_gateway.strategies import split, strategies

from . import ActionError


def validate_settings(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` with their defaults filled in. Raises :class:`ActionError` with the strategy's own sentence, or for the name of a
    provider or model that does not exist."""
    if kind not in strategies:
        raise ActionError(f"There is no kind of strategy named {kind}; choose from {', '.join(strategies)}.")
    if not isinstance(settings, Mapping):
        raise ActionError("The settings of a strategy are a JSON object.")
    try:
        own, common = split(settings)
        validated = {**strategies.get(kind).validate(own), **common}
    except ValueError as error:
        raise ActionError(str(error)) from None
    _check_targets(validated)
    return validated


def activate_strategy(
    name: str, user: Any = None, via: str = "admin", settings: Mapping[str, Any] | None = None, revision: int | None = None
) -> StrategyActivation:
    """Validate, switch, remember; all or nothing, and never two in force.

    ``settings`` replace the stored ones; ``revision``: what the caller last saw, :class:`Conflict` when someone else changed it since.
    Activating what is in force with the same settings changes nothing and returns the present activation.
    """
    with transaction.atomic():
        rows = {row.name: row for row in Strategy.objects.select_for_update()}
        chosen = rows.get(name)
        if chosen is None:
            raise ActionError(f"There is no strategy named {name}; there are {', '.join(sorted(rows)) or 'none'}.")
        if revision is not None and chosen.revision != revision:
            raise Conflict(f"The strategy {name} was changed in the meantime; look at it again.")
        validated = validate_settings(chosen.kind, chosen.settings if settings is None else settings)
        before = next((row for row in rows.values() if row.active), None)
        latest = chosen.activations.order_by("-pk").first()
        if chosen.active and latest is not None and latest.settings == validated:
            return latest
        if chosen.settings != validated:
            chosen.settings = validated
            chosen.revision += 1
        Strategy.objects.filter(active=True).exclude(pk=chosen.pk).update(active=False)
        chosen.active = True
        chosen.save(update_fields=["settings", "revision", "active", "updated_at"])
        return StrategyActivation.objects.create(
            strategy=chosen,
            settings=validated,
            revision=chosen.revision,
            previous=before.name if before else "",
            by=user if getattr(user, "pk", None) else None,
            via=via[:100],
        )


def _check_targets(settings: Mapping[str, Any]) -> None:
    """Every arm or weight names a provider or a model that is there."""
    names = [name for key in ("arms", "weights") for name in settings.get(key) or ()]
    if not names:
        return
    models = list(LanguageModel.objects.values_list("provider__slug", "name", "upstream_id"))
    known = {*Provider.objects.values_list("slug", flat=True), *(name for _, name, _ in models)}
    known |= {f"{slug}/{form}" for slug, *forms in models for form in forms}
    if unknown := [name for name in names if name not in known]:
        raise ActionError(f"There is no provider or model named {', '.join(unknown)}; correct the settings.")
