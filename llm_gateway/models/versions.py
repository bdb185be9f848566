"""Every change to what routes is a version, wherever it comes from: saving a strategy or the list of an alias writes one.

Verbs that know more (who, why, what state) write the version first; then there is nothing left to do here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.utils import timezone

from .catalogue_version import CatalogueVersion
from .policies import PolicyEvent, PolicyVersion
from .providers import AliasTarget
from .routing import Strategy
from .trail import actor

ALIAS = "alias"


def connect() -> None:
    post_save.connect(_strategy_saved, sender=Strategy, dispatch_uid="versions-strategy")
    post_save.connect(_list_changed, sender=AliasTarget, dispatch_uid="versions-alias-saved")
    post_delete.connect(_list_changed, sender=AliasTarget, dispatch_uid="versions-alias-deleted")


def write_version(
    *, kind: str, settings: Mapping[str, Any], strategy: Strategy | None = None, alias: str = "", state: str = PolicyVersion.State.DRAFT,
    user: Any = None, via: str = "", note: str = "", guards: Mapping[str, Any] | None = None, parent: int | None = None,
) -> PolicyVersion:  # fmt: skip
    """The next number, in the transaction of whoever calls."""
    with transaction.atomic():
        # One writer at a time, or two would take the same number.
        list(CatalogueVersion.objects.select_for_update().filter(pk=1))
        newest = PolicyVersion.objects.order_by("-number").values_list("number", flat=True).first() or 0
        by = user if getattr(user, "pk", None) else None
        who = actor()
        row = PolicyVersion.objects.create(
            number=newest + 1, strategy=strategy, alias=alias, kind=kind, settings=dict(settings), guards=dict(guards or {}),
            note=note[:300], parent=parent or None, author=by, via=(via or (who.via if who else "system"))[:100], state=state,
            activated_at=timezone.now() if state == PolicyVersion.State.ACTIVE else None,
        )  # fmt: skip
        happened(row, PolicyEvent.Kind.CREATED, by, via, note)
        return row


def happened(row: PolicyVersion, kind: str, user: Any = None, via: str = "", note: str = "") -> PolicyEvent:
    by = user if getattr(user, "pk", None) else None
    return PolicyEvent.objects.create(version=row, kind=kind, by=by, via=via[:100], note=note[:500])


def current(strategy: Strategy) -> PolicyVersion | None:
    """The version that ``strategy`` is now; ``None``: none is recorded for what it is."""
    row = PolicyVersion.objects.filter(number=strategy.version, strategy=strategy).first() if strategy.version else None
    return row if row is not None and (row.kind, row.settings) == (strategy.kind, strategy.settings) else None


def _strategy_saved(sender: Any, instance: Strategy, raw: bool = False, **_: Any) -> None:
    if raw or current(instance) is not None:
        return
    states = PolicyVersion.State
    before = instance.version
    PolicyVersion.objects.filter(number=before, strategy=instance, canary_share=None).update(state=states.RETIRED)
    if instance.active:
        PolicyVersion.objects.filter(state=states.ACTIVE, alias="", canary_share=None).update(state=states.APPROVED)
    state = states.ACTIVE if instance.active else states.APPROVED
    row = write_version(kind=instance.kind, settings=instance.settings, strategy=instance, state=state, parent=before)
    if instance.active:
        happened(row, PolicyEvent.Kind.ACTIVATED, note="saved")
    instance.version = row.number
    Strategy.objects.filter(pk=instance.pk).update(version=row.number)


def _list_changed(sender: Any, instance: AliasTarget, raw: bool = False, **_: Any) -> None:
    if not raw:
        # A form saves a list row by row: the version is of what is there at its end.
        transaction.on_commit(lambda: _record_list(instance.alias_id), robust=True)


def _record_list(alias_id: int) -> None:
    rows = AliasTarget.objects.filter(alias_id=alias_id).order_by("position", "id")
    found = list(rows.values_list("alias__name", "model__name"))
    if not found:
        return
    record_alias(found[0][0], [model for _, model in found])


def record_alias(alias: str, names: list[str], user: Any = None, via: str = "") -> PolicyVersion:
    """The version that says so, in force; the same one when nothing changed."""
    states = PolicyVersion.State
    with transaction.atomic():
        active = PolicyVersion.objects.filter(alias=alias, state=states.ACTIVE).first()
        if active is not None and active.settings == {"models": names}:
            return active
        PolicyVersion.objects.filter(alias=alias, state=states.ACTIVE).update(state=states.RETIRED)
        parent = active.number if active else None
        return write_version(kind=ALIAS, settings={"models": names}, alias=alias, state=states.ACTIVE, user=user, via=via, parent=parent)
