"""Writes the audit trail. Saves and deletions of what is audited are recorded wherever they come from; verbs record themselves.

Who acts is a context variable: the middleware sets it for a request, a command for its run. Without one, only accounts are recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec
from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save

from llm_gateway.core.redact import redact

from .audit import AuditEntry

SEALED = "(secret)"
ACCOUNT = "auth.user"
_MOST_TEXT = 200


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts. ``via``: console, api, command or system."""

    name: str = ""
    id: int | None = None
    via: str = "system"
    address: str = ""
    request_id: str = ""


# Nouns that are audited, each with the columns that change by themselves.
_OWN_CHANGES: Mapping[str, frozenset[str]] = {
    "llm_gateway.provider": frozenset(),
    "llm_gateway.providerkey": frozenset({"uid", "state", "reason", "evidence", "checked_at", "checking_until", "next_check_at"}),
    "llm_gateway.languagemodel": frozenset(),
    "llm_gateway.alias": frozenset(),
    "llm_gateway.cacherule": frozenset({"seat"}),
    "llm_gateway.aliastarget": frozenset(),
    "llm_gateway.price": frozenset(),
    "llm_gateway.strategy": frozenset({"revision", "version"}),
    "llm_gateway.policyversion": frozenset({"watch", "activated_at"}),
    "llm_gateway.experiment": frozenset({"figures", "looked_at", "verdict", "sentence"}),
    "llm_gateway.qualityrule": frozenset(),
    "llm_gateway.judgerule": frozenset(),
    "llm_gateway.team": frozenset(),
    "llm_gateway.clientkey": frozenset(),
    "llm_gateway.budget": frozenset({"posted_nusd", "held_nusd", "excess_nusd", "period_id", "alerted"}),
    "llm_gateway.alertdestination": frozenset({"uid", "tested_at", "test_error"}),
    "llm_gateway.alertrule": frozenset({"looked_at", "error"}),
    "llm_gateway.invitation": frozenset(),
    ACCOUNT: frozenset({"last_login", "date_joined"}),
    "auth.group": frozenset(),
}
NOUNS = frozenset(_OWN_CHANGES)
_SECRETS = frozenset({"password", "ciphertext", "digest"})
_STAMPS = frozenset({"id", "created_at", "updated_at"})

_actor: ContextVar[Callable[[], Actor] | None] = ContextVar("cogo_actor", default=None)


@contextmanager
def acting(who: Actor | Callable[[], Actor]) -> Iterator[None]:
    """Everything inside is done by ``who``; a callable is asked when there is something to record."""
    token = _actor.set(who if callable(who) else lambda: who)
    try:
        yield
    finally:
        _actor.reset(token)


def actor() -> Actor | None:
    """Who acts now; ``None`` outside a request and a command."""
    found = _actor.get()
    return found() if found is not None else None


def record(
    action: str,
    row: models.Model | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    detail: str = "",
    who: Actor | None = None,
    name: str = "",
) -> None:
    """Add an entry. ``who`` defaults to whoever acts; ``name`` to what ``row`` is called."""
    by = who or actor() or Actor()
    AuditEntry.objects.create(
        actor=_clean(by.name, 150),
        actor_id=by.id,
        via=by.via,
        action=action,
        noun=row._meta.label_lower if row is not None else "",
        object_id=str(row.pk)[:64] if row is not None else "",
        object_name=_clean(name or (str(row) if row is not None else ""), 200),
        changes=dict(changes or {}),
        detail=_clean(detail, 300),
        address=by.address[:45],
        request_id=by.request_id[:40],
    )


def connect() -> None:
    pre_save.connect(_before, dispatch_uid="trail-before")
    post_save.connect(_saved, dispatch_uid="trail-saved")
    post_delete.connect(_deleted, dispatch_uid="trail-deleted")
    m2m_changed.connect(_linked, dispatch_uid="trail-linked")


def _clean(text: str, limit: int) -> str:
    return redact(text.replace("\x00", ""), limit=limit)


def _wanted(sender: type[models.Model]) -> bool:
    label = sender._meta.label_lower
    return label in _OWN_CHANGES and (label == ACCOUNT or _actor.get() is not None)


def _columns(sender: type[models.Model], only: Any = None) -> list[models.Field[Any, Any]]:
    skipped = _OWN_CHANGES[sender._meta.label_lower] | _STAMPS
    return [f for f in sender._meta.concrete_fields if f.name not in skipped and (not only or f.name in only or f.attname in only)]


def _before(sender: type[models.Model], instance: Any, raw: bool = False, update_fields: Any = None, **_: Any) -> None:
    if raw or instance._state.adding or not _wanted(sender):
        return
    names = [field.attname for field in _columns(sender, update_fields)]
    instance._trail_before = sender._base_manager.filter(pk=instance.pk).values(*names).first() if names else None


def _saved(sender: type[models.Model], instance: Any, created: bool, raw: bool = False, update_fields: Any = None, **_: Any) -> None:
    before = instance.__dict__.pop("_trail_before", None)
    if raw or not _wanted(sender):
        return
    if created:
        values = {f: getattr(instance, f.attname) for f in _columns(sender)}
        record("added", instance, changes={f.name: [None, _shown(f, v)] for f, v in values.items() if v not in (None, "", [], {})})
    elif before is not None:
        changed = {}
        for field in _columns(sender, update_fields):
            old, new = before[field.attname], field.to_python(getattr(instance, field.attname))
            if old != new:
                changed[field.name] = [_shown(field, old), _shown(field, new)]
        if changed:
            record("changed", instance, changes=changed)


def _deleted(sender: type[models.Model], instance: Any, **_: Any) -> None:
    if _wanted(sender):
        values = {f: getattr(instance, f.attname) for f in _columns(sender)}
        record("deleted", instance, changes={f.name: [_shown(f, v), None] for f, v in values.items() if v not in (None, "", [], {})})


def _linked(sender: Any, instance: Any, action: str, model: Any, pk_set: Any, reverse: bool = False, **_: Any) -> None:
    """Roles and single permissions of an account, permissions of a group; from whichever side they are given."""
    if reverse:
        _linked_from_behind(sender, instance, action, model, pk_set)
        return
    if not isinstance(instance, models.Model) or not _wanted(type(instance)):
        return
    if action == "pre_clear":
        field = next((f for f in instance._meta.many_to_many if f.remote_field.through is sender), None)
        pk_set = list(getattr(instance, field.name).values_list("pk", flat=True)) if field is not None else []
    if action not in ("post_add", "post_remove", "pre_clear") or not pk_set:
        return
    names = sorted(str(one) for one in model._base_manager.filter(pk__in=pk_set)[:50])
    values = [None, names] if action == "post_add" else [names, None]
    record("changed", instance, changes={str(model._meta.verbose_name_plural): values})


def _linked_from_behind(sender: Any, given: Any, action: str, model: Any, pk_set: Any) -> None:
    """A role that takes accounts in: what changes is the accounts'."""
    if not _wanted(model):
        return
    if action == "pre_clear":
        field = next(f for f in model._meta.many_to_many if f.remote_field.through is sender)
        pk_set = model._base_manager.filter(**{field.name: given}).values_list("pk", flat=True)
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    values = [None, [str(given)]] if action == "post_add" else [[str(given)], None]
    for row in model._base_manager.filter(pk__in=list(pk_set or ())):
        record("changed", row, changes={str(given._meta.verbose_name_plural): values})


def _shown(field: models.Field[Any, Any], value: Any) -> Any:
    """A value as the trail keeps it: no secret, nothing long, a related row by its name."""
    if value is None or isinstance(value, bool | int):
        related = field.related_model if value is not None else None
        if not isinstance(related, type):
            return value
        row = related._base_manager.filter(pk=value).first()
        return f"{row if row is not None else ''} ({value})"[:_MOST_TEXT]
    if field.name in _SECRETS:
        return SEALED
    if isinstance(value, list | dict):
        value = msgspec.json.encode(value).decode()
    return _clean(str(value), _MOST_TEXT)
