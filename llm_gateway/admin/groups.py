"""The roles of :mod:`llm_gateway.core.roles` as groups. Their permissions are code: every migration run writes them again."""

from __future__ import annotations

from typing import Any

from llm_gateway.core.roles import ROLES


def ensure_groups(**_: Any) -> None:
    """Create the roles and set exactly their permissions. Permissions that do not exist yet are left for the next run."""
    from django.contrib.auth.models import Group, Permission

    apps = {code.partition(".")[0] for role in ROLES.values() for code in role.permissions}
    known = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.filter(content_type__app_label__in=apps).values_list(
            "pk", "content_type__app_label", "codename"
        )
    }
    for name, role in ROLES.items():
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.set({known[code] for code in role.permissions if code in known})
