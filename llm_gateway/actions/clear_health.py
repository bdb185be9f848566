"""Forget that a deployment is cooling, suspended or off: the operator says it may be tried again."""

from __future__ import annotations

from django.db import transaction

from llm_gateway.models import CatalogueVersion, DeploymentHealth


@transaction.atomic
def clear_health(row: DeploymentHealth) -> bool:
    """Whether there was something to forget. Workers learn of it with their next snapshot (within 2 s)."""
    gone, _ = DeploymentHealth.objects.filter(pk=row.pk).delete()
    if gone:
        CatalogueVersion.bump()
    return bool(gone)
