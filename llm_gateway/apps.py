from __future__ import annotations

from django.apps import AppConfig
from typing_extensions import override


class LlmGatewayConfig(AppConfig):
    name = "llm_gateway"
    verbose_name = "Gateway"
    default_auto_field = "django.db.models.BigAutoField"

    @override
    def ready(self) -> None:
        from .models import catalogue_version

        catalogue_version.connect()
