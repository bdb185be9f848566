"""Put a policy version in force, for all or as a canary for a share that stays the same callers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from llm_gateway.core.errors import Conflict
from llm_gateway.models import Alias, AliasTarget, CatalogueVersion, LanguageModel, PolicyEvent, PolicyReplay, PolicyVersion
from llm_gateway.models.versions import ALIAS, happened, record_alias

from . import ActionError
from .activate_strategy import activate_strategy, validate_settings
from .draft_policy import checked_list
from .gate_learned import held_back

_STATES = PolicyVersion.State
FRESH = timedelta(hours=24)


def activate_policy(
    version: PolicyVersion, *, revision: int | None = None, canary_share: float | None = None, confirm: bool = False, user: Any = None,
    via: str = "admin", event: str = PolicyEvent.Kind.ACTIVATED, note: str = "",
) -> PolicyVersion:  # fmt: skip
    """``revision``: the switch that the caller saw last, :class:`Conflict` when there was one since. ``confirm``: although its replay is
    old, the catalogue is another one since, or what it learnt does not surely do well enough to go unguarded. Raises
    :class:`ActionError`, with the name of what is gone."""
    with transaction.atomic():
        row = PolicyVersion.objects.select_for_update(of=("self",)).select_related("strategy").get(pk=version.pk)
        if revision is not None and revision != PolicyEvent.revision():
            raise Conflict("Something else was put in force in the meantime; look at what is active and use its revision.")
        if row.state in (_STATES.DRAFT, _STATES.REPLAYED):
            raise ActionError(f"Version {row.number} has to be approved before it takes force.")
        if canary_share is not None and not 0 < canary_share < 1:
            raise ActionError("canary_share has to be above 0 and below 1; leave it out to activate for all.")
        if row.kind == ALIAS:
            if canary_share is not None:
                raise ActionError("A fallback list takes force for all; it has no canary.")
            return _alias(row, user, via, event, note)
        assert row.strategy is not None
        if not confirm and row.state == _STATES.APPROVED and row.number != row.strategy.version and (why := stale(row)):
            raise Conflict(f"{why}; replay it again, or send confirm: true.")
        if why := held_back(row):
            if not confirm:
                raise Conflict(f"{why}, or send confirm: true.")
            note = f"{note} Confirmed although: {why}.".strip()[:500]
        if canary_share is None:
            activate_strategy(row.strategy.name, user=user, via=via, version=row, event=event, note=note)
        else:
            _canary(row, canary_share, user, via, note)
    row.refresh_from_db()
    return row


def stale(row: PolicyVersion) -> str:
    """Why its newest replay says too little of now; empty when it does not."""
    newest = PolicyReplay.objects.filter(version=row, state=PolicyReplay.State.DONE).order_by("-pk").first()
    if newest is None or newest.finished_at is None:
        return f"Version {row.number} was never replayed"
    if newest.finished_at < timezone.now() - FRESH:
        return f"The replay of version {row.number} is older than 24 hours"
    if newest.catalogue != CatalogueVersion.current():
        return f"Models, keys or prices have changed since version {row.number} was replayed"
    return ""


def _canary(row: PolicyVersion, share: float, user: Any, via: str, note: str) -> None:
    validate_settings(row.kind, row.settings)
    if row.state == _STATES.ACTIVE and row.canary_share is None:
        raise ActionError(f"Version {row.number} decides for all already.")
    if not PolicyVersion.objects.filter(state=_STATES.ACTIVE, canary_share=None, alias="").exists():
        raise ActionError("No version is in force that the others would stay with.")
    for other in PolicyVersion.objects.filter(state=_STATES.ACTIVE, canary_share__isnull=False).exclude(pk=row.pk):
        other.state, other.canary_share = _STATES.RETIRED, None
        other.save(update_fields=["state", "canary_share"])
        happened(other, PolicyEvent.Kind.RETIRED, user, via, f"version {row.number} is the canary now")
    row.state, row.canary_share = _STATES.ACTIVE, share
    row.activated_at, row.watch = timezone.now(), None
    row.save(update_fields=["state", "canary_share", "activated_at", "watch"])
    CatalogueVersion.bump()
    happened(row, PolicyEvent.Kind.CANARY, user, via, note or f"{share:.0%} of the requests")


def _alias(row: PolicyVersion, user: Any, via: str, event: str, note: str) -> PolicyVersion:
    names = checked_list(row.settings)
    alias = Alias.objects.filter(name=row.alias).first()
    if alias is None:
        raise ActionError(f"The alias {row.alias} is gone.")
    ids = dict(LanguageModel.objects.filter(name__in=names).values_list("name", "pk"))
    PolicyVersion.objects.filter(alias=row.alias, state=_STATES.ACTIVE).exclude(pk=row.pk).update(state=_STATES.RETIRED)
    row.state, row.activated_at = _STATES.ACTIVE, timezone.now()
    row.save(update_fields=["state", "activated_at"])
    AliasTarget.objects.filter(alias=alias).delete()
    for place, name in enumerate(names, 1):
        AliasTarget.objects.create(alias=alias, model_id=ids[name], position=place)
    record_alias(row.alias, names)
    happened(row, event, user, via, note)
    return row
