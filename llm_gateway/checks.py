"""System checks: what would fail later, said at the start in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.db import DatabaseError


@register("cogo")
def check_task_cluster(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """django-q2 runs a task a second time once ``retry`` is over, and for ever where attempts are not limited."""
    cluster: dict[str, Any] = getattr(settings, "Q_CLUSTER")  # noqa: B009  # a library's setting, which the stubs' plugin does not know
    found: list[CheckMessage] = []
    if not 0 < (cluster.get("timeout") or 0) < (cluster.get("retry") or 0):
        found.append(Error("Q_CLUSTER: timeout must be set and below retry, or a slow task runs twice at once.", id="cogo.E001"))
    if not cluster.get("max_attempts"):
        found.append(Error("Q_CLUSTER: max_attempts must be above 0, or a failing task is repeated for ever.", id="cogo.E002"))
    if cluster.get("catch_up", True):
        found.append(Error("Q_CLUSTER: catch_up must be False, or every run missed while down is made up for.", id="cogo.E003"))
    return found


@register("cogo")
def check_encryption_keys(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """The keys themselves can be read; whether they open every row is a question to the database."""
    from llm_gateway.stores import vault

    try:
        vault.seal("x", place="check")
    except vault.VaultError as error:
        return [Error(f"{error}.", id="cogo.E004", hint="Make a key with: manage.py make_encryption_key")]
    return []


@register(Tags.database)
def check_rows(app_configs: Any = None, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Asked only with ``--database`` and by ``migrate``, so nothing here stops a start: the keys concerned are shown as invalid."""
    if "default" not in (databases or ()):
        return []
    from llm_gateway.actions.rotate_encryption import verify_encryption
    from llm_gateway.actions.sync_schedules import broken_schedules

    try:
        sealed, schedules = verify_encryption(), broken_schedules()
    except DatabaseError:
        return []  # not migrated yet; readyz and migrate say so
    found: list[CheckMessage] = [Caution(f"{line}.", id="cogo.W005", hint="Add the old key to COGO_ENCRYPTION_KEYS.") for line in sealed]
    found += [
        Caution(f"The schedule “{name}” has arguments that cannot be read and stops every schedule.", id="cogo.W006", hint="Delete it.")
        for name in schedules
    ]
    return found
