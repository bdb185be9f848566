"""Take back what was put in force: end the canary, or activate an old version once more."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from llm_gateway.models import CatalogueVersion, PolicyEvent, PolicyVersion
from llm_gateway.models.versions import happened

from . import ActionError
from .activate_policy import activate_policy

_STATES = PolicyVersion.State


def rollback_policy(to: int | None = None, *, user: Any = None, via: str = "admin", note: str = "") -> PolicyVersion:
    """The version that decides now. ``to``: its number; by default the canary ends where there is one, else what was in force before comes
    back. Raises :class:`ActionError` where there is none, or its targets are gone."""
    with transaction.atomic():
        if to is None:
            canary = PolicyVersion.objects.select_for_update().filter(state=_STATES.ACTIVE, canary_share__isnull=False).first()
            if canary is not None:
                return end_canary(canary, user, via, note)
            return activate_policy(_previous(), confirm=True, user=user, via=via, event=PolicyEvent.Kind.ROLLED_BACK, note=note)
        row = PolicyVersion.objects.filter(number=to).first()
        if row is None:
            raise ActionError(f"There is no version {to}.")
        if row.state in (_STATES.DRAFT, _STATES.REPLAYED):
            raise ActionError(f"Version {to} was never in force.")
        return activate_policy(row, confirm=True, user=user, via=via, event=PolicyEvent.Kind.ROLLED_BACK, note=note)


def end_canary(canary: PolicyVersion, user: Any = None, via: str = "", note: str = "") -> PolicyVersion:
    """Its callers go back to the active version, which is returned."""
    ended = PolicyVersion.objects.filter(pk=canary.pk, canary_share__isnull=False).update(state=_STATES.RETIRED, canary_share=None)
    if ended:
        CatalogueVersion.bump()
        happened(canary, PolicyEvent.Kind.ENDED, user, via, note)
    active = PolicyVersion.objects.filter(state=_STATES.ACTIVE, canary_share=None, alias="").first()
    if active is None:
        raise ActionError("No version is in force.")
    return active


def _previous() -> PolicyVersion:
    active = PolicyVersion.objects.filter(state=_STATES.ACTIVE, canary_share=None, alias="").first()
    kinds = (PolicyEvent.Kind.ACTIVATED, PolicyEvent.Kind.ROLLED_BACK)
    for moment in PolicyEvent.objects.filter(kind__in=kinds, version__alias="").select_related("version").order_by("-pk")[:200]:
        if active is None or moment.version_id != active.pk:
            return moment.version
    raise ActionError("No earlier version is known to go back to.")
