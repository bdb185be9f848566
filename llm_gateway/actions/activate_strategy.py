"""Put a strategy in force for the whole gateway, with a history of who did and what was in force before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from llm_gateway.core.errors import Conflict
from llm_gateway.models import CatalogueVersion, LanguageModel, PolicyEvent, PolicyVersion, Provider, Strategy, StrategyActivation
from llm_gateway.models.versions import happened, write_version
from llm_gateway.strategies import SettingError, split, strategies

from . import ActionError, SettingRefused
from .gate_learned import gated

_STATES = PolicyVersion.State


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
    except SettingError as error:
        raise SettingRefused(error.setting, str(error)) from None
    except ValueError as error:
        raise ActionError(str(error)) from None
    _check_targets(validated)
    return validated


def activate_strategy(
    name: str,
    user: Any = None,
    via: str = "admin",
    settings: Mapping[str, Any] | None = None,
    revision: int | None = None,
    version: PolicyVersion | None = None,
    event: str = PolicyEvent.Kind.ACTIVATED,
    note: str = "",
) -> StrategyActivation:
    """Validate, switch, remember; all or nothing, and never two in force.

    ``settings`` replace the stored ones, ``version`` brings its own and its kind; what is not a version yet becomes one, unless the
    strategy wants four eyes: then only a version that was approved may take force. A canary that runs is over. ``revision``: what the
    caller last saw, :class:`Conflict` when someone else changed it since. Activating what is in force with the same settings changes
    nothing and returns the present activation.
    """
    with transaction.atomic():
        rows = {row.name: row for row in Strategy.objects.select_for_update()}
        chosen = rows.get(name)
        if chosen is None:
            raise ActionError(f"There is no strategy named {name}; there are {', '.join(sorted(rows)) or 'none'}.")
        if revision is not None and chosen.revision != revision:
            raise Conflict(f"The strategy {name} was changed in the meantime; look at it again.")
        kind = version.kind if version is not None else chosen.kind
        wanted = version.settings if version is not None else chosen.settings if settings is None else settings
        validated = validate_settings(kind, wanted)
        if version is not None:
            validated = version.settings  # to the letter, whatever defaults were added since
        before = next((row for row in rows.values() if row.active), None)
        latest = chosen.activations.order_by("-pk").first()
        trial = PolicyVersion.objects.filter(state=_STATES.ACTIVE, canary_share__isnull=False).first()
        same = (chosen.kind, chosen.settings) == (kind, validated)
        if chosen.active and same and latest is not None and latest.settings == validated and trial is None:
            return latest
        if version is None and gated(kind, validated):
            raise ActionError("A strategy that learns goes unguarded by a policy version whose replay says that it may; write one.")
        taken = _version(chosen, kind, validated, version, user, via)
        if not same:
            chosen.kind, chosen.settings = kind, validated
            chosen.revision += 1
        if trial is not None and trial.pk != taken.pk:
            PolicyVersion.objects.filter(pk=trial.pk).update(state=_STATES.RETIRED, canary_share=None)
            CatalogueVersion.bump()
            happened(trial, PolicyEvent.Kind.RETIRED, user, via, f"version {taken.number} was put in force")
        PolicyVersion.objects.filter(strategy=chosen, number=chosen.version).exclude(pk=taken.pk).update(state=_STATES.RETIRED)
        PolicyVersion.objects.filter(state=_STATES.ACTIVE, alias="").exclude(pk=taken.pk).update(state=_STATES.APPROVED)
        PolicyVersion.objects.filter(pk=taken.pk).update(state=_STATES.ACTIVE, canary_share=None, activated_at=timezone.now(), watch=None)
        chosen.version = taken.number
        Strategy.objects.filter(active=True).exclude(pk=chosen.pk).update(active=False)
        chosen.active = True
        chosen.save(update_fields=["kind", "settings", "revision", "version", "active", "updated_at"])
        happened(taken, event, user, via, note)
        return StrategyActivation.objects.create(
            strategy=chosen,
            settings=validated,
            revision=chosen.revision,
            version=taken.number,
            previous=before.name if before else "",
            by=user if getattr(user, "pk", None) else None,
            via=via[:100],
        )


def _version(chosen: Strategy, kind: str, validated: dict[str, Any], given: PolicyVersion | None, user: Any, via: str) -> PolicyVersion:
    """The version that says ``validated``: one of before when there is one."""
    if given is not None:
        return given
    for row in chosen.versions.order_by("-number")[:200]:
        # What is still a draft does not take force by being typed once more.
        if (row.kind, row.settings) == (kind, validated) and row.state not in (_STATES.DRAFT, _STATES.REPLAYED):
            return row
    if chosen.four_eyes:
        raise ActionError(f"{chosen.title} wants four eyes: write a policy version with these settings and have somebody else approve it.")
    return write_version(
        kind=kind, settings=validated, strategy=chosen, state=_STATES.APPROVED, user=user, via=via, parent=chosen.version or None
    )


def _check_targets(settings: Mapping[str, Any]) -> None:
    """Every arm or weight names a provider or a model that is there."""
    named = {key: list(settings[key]) for key in ("arms", "weights") if settings.get(key)}
    if not named:
        return
    models = list(LanguageModel.objects.values_list("provider__slug", "name", "upstream_id"))
    known = {*Provider.objects.values_list("slug", flat=True), *(name for _, name, _ in models)}
    known |= {f"{slug}/{form}" for slug, *forms in models for form in forms}
    for key, names in named.items():
        if unknown := [name for name in names if name not in known]:
            raise SettingRefused(key, f"There is no provider or model named {', '.join(unknown)}; correct the settings.")
