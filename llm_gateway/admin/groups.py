"""The roles of reliability.md A14 as groups. Their permissions are code: every migration run writes them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VIEW = "view"
EDIT = "view add change"
FULL = "view add change delete"

_METADATA = {
    "llm_gateway.provider": VIEW,
    "llm_gateway.providerkey": VIEW,
    "llm_gateway.languagemodel": VIEW,
    "llm_gateway.alias": VIEW,
    "llm_gateway.aliastarget": VIEW,
    "llm_gateway.price": VIEW,
    "llm_gateway.strategy": VIEW,
    "llm_gateway.strategyactivation": VIEW,
    "llm_gateway.team": VIEW,
    "llm_gateway.clientkey": VIEW,
    "llm_gateway.requestlog": VIEW,
    "llm_gateway.attempt": VIEW,
    "llm_gateway.keycheck": VIEW,
    "llm_gateway.deploymenthealth": VIEW,
    "llm_gateway.heartbeat": VIEW,
    "llm_gateway.auditrun": VIEW,
    "analytics.hourlyrollup": VIEW,
    "analytics.dailyrollup": VIEW,
}

ROLES: Mapping[str, Mapping[str, str]] = {
    "viewer": _METADATA,
    "operator": {
        **_METADATA,
        "llm_gateway.provider": FULL,
        "llm_gateway.providerkey": FULL,
        "llm_gateway.languagemodel": FULL,
        "llm_gateway.alias": FULL,
        "llm_gateway.aliastarget": FULL,
        "llm_gateway.strategy": FULL,
        "llm_gateway.team": EDIT,
        "llm_gateway.clientkey": EDIT,
        "llm_gateway.deploymenthealth": "view change",
        "django_q.schedule": VIEW,
        "django_q.success": VIEW,
        "django_q.failure": VIEW,
        "django_q.ormq": VIEW,
    },
    "finance": {
        "llm_gateway.languagemodel": VIEW,
        "llm_gateway.provider": VIEW,
        "llm_gateway.price": FULL,
        "llm_gateway.budget": FULL,
        "llm_gateway.ledgerentry": VIEW,
        "llm_gateway.alert": VIEW,
        "llm_gateway.statement": VIEW,
        "llm_gateway.auditrun": VIEW,
        "llm_gateway.team": VIEW,
        "llm_gateway.requestlog": VIEW,
        "llm_gateway.attempt": VIEW,
        "analytics.hourlyrollup": VIEW,
        "analytics.dailyrollup": VIEW,
    },
}


def ensure_groups(**_: Any) -> None:
    """Create the roles and set exactly their permissions. Permissions that do not exist yet are left for the next run."""
    from django.contrib.auth.models import Group, Permission

    known = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.filter(
            content_type__app_label__in=("llm_gateway", "analytics", "django_q")
        ).values_list("pk", "content_type__app_label", "codename")
    }
    for name, rights in ROLES.items():
        group, _created = Group.objects.get_or_create(name=name)
        wanted = set()
        for noun, verbs in rights.items():
            app, model = noun.split(".")
            wanted |= {known[code] for verb in verbs.split() if (code := f"{app}.{verb}_{model}") in known}
        group.permissions.set(wanted)
