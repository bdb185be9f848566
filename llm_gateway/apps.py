from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from typing_extensions import override


class LlmGatewayConfig(AppConfig):
    name = "llm_gateway"
    verbose_name = "Gateway"
    default_auto_field = "django.db.models.BigAutoField"

    @override
    def ready(self) -> None:
        from . import checks, tasks  # noqa: F401  # importing registers them
        from .actions import own_password, sign_in
        from .models import catalogue_version, trail, versions
        from .stores.connecting import watch_forks

        watch_forks()
        catalogue_version.connect()
        trail.connect()
        versions.connect()
        sign_in.connect()
        own_password.connect()
        tasks.connect()
        post_migrate.connect(_roles, dispatch_uid="cogo-roles")


def _roles(sender: AppConfig, **_: Any) -> None:
    """After the last app whose permissions the roles hold."""
    if sender.label == "analytics":
        from .admin.groups import ensure_groups

        ensure_groups()
