"""Write a policy version: settings that may take force later, and never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from llm_gateway.models import Alias, LanguageModel, PolicyVersion, Strategy
from llm_gateway.models.versions import ALIAS, write_version

from . import ActionError
from .activate_strategy import validate_settings

# A canary may lose so many points of success, take so many times as long and cost so many times as much, once so many requests are seen.
GUARDS: Mapping[str, float | None] = {"success_points": 5.0, "p95_factor": 1.5, "cost_factor": 1.5, "min_requests": 200}
LIMITS = {"success_points": (0.1, 100.0), "p95_factor": (1.01, 100.0), "cost_factor": (1.01, 100.0), "min_requests": (50, 1_000_000)}


def draft_policy(
    *, strategy: str = "", alias: str = "", kind: str | None = None, settings: Mapping[str, Any] | None = None,
    guards: Mapping[str, Any] | None = None, note: str = "", user: Any = None, via: str = "admin",
) -> PolicyVersion:  # fmt: skip
    """Of a strategy (``settings`` ``None``: as it is now), or of an alias (``{"models": [names]}``). Raises :class:`ActionError` for
    settings, guards, arms or models that cannot be."""
    if bool(strategy) == bool(alias):
        raise ActionError("Name a strategy or an alias.")
    if len(note) > 300:
        raise ActionError("A note has at most 300 characters.")
    if alias:
        return _of_alias(alias, settings, note, user, via)
    with transaction.atomic():
        head = Strategy.objects.filter(name=strategy).first()
        if head is None:
            raise ActionError(
                f"There is no strategy named {strategy[:60]}; there are {', '.join(Strategy.objects.values_list('name', flat=True))}."
            )
        chosen = kind or head.kind
        validated = validate_settings(chosen, head.settings if settings is None else settings)
        return write_version(
            kind=chosen, settings=validated, strategy=head, user=user, via=via, note=note, guards=checked_guards(guards),
            parent=head.version or None,
        )  # fmt: skip


def checked_guards(guards: Mapping[str, Any] | None) -> dict[str, Any]:
    """With what is not named at its default; ``None`` switches a guard off."""
    given = dict(guards or {})
    if unknown := sorted(str(name) for name in given if name not in GUARDS):
        raise ActionError(f"There is no guard {', '.join(unknown)[:100]}; there are {', '.join(GUARDS)}.")
    for name, value in given.items():
        low, high = LIMITS[name]
        if value is None and name != "min_requests":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ActionError(f"{name} has to be a number from {low:g} to {high:g}{'' if name == 'min_requests' else ', or null'}.")
    return {**GUARDS, **given}


def _of_alias(alias: str, settings: Mapping[str, Any] | None, note: str, user: Any, via: str) -> PolicyVersion:
    if not Alias.objects.filter(name=alias).exists():
        raise ActionError(f"There is no alias named {alias[:100]}.")
    names = checked_list(settings)
    active = PolicyVersion.objects.filter(alias=alias, state=PolicyVersion.State.ACTIVE).first()
    parent = active.number if active else None
    return write_version(kind=ALIAS, settings={"models": names}, alias=alias, user=user, via=via, note=note, parent=parent)


def checked_list(settings: Mapping[str, Any] | None) -> list[str]:
    """The models of a fallback list, in order."""
    names = (settings or {}).get("models")
    if not isinstance(names, list) or not names or len(names) > 50 or not all(isinstance(name, str) for name in names):
        raise ActionError('The settings of an alias are {"models": ["NAME", …]}, in the order they are tried.')
    if len(set(names)) != len(names):
        raise ActionError("A model stands twice in the list.")
    known = set(LanguageModel.objects.filter(name__in=names).values_list("name", flat=True))
    if unknown := [name for name in names if name not in known]:
        raise ActionError(f"There is no model named {', '.join(unknown)[:200]}.")
    return names
