"""Whether a provider may be called something else: the log names it."""

from __future__ import annotations

from llm_gateway.models import Provider, RequestLog
from llm_gateway.providers import services


def why_named(row: Provider) -> str:
    """A sentence where its name is written down elsewhere; empty where it may be renamed."""
    if row.service != "custom" and row.service in services:
        return "it is a provider the gateway brings along"
    models = list(row.models.values_list("pk", flat=True))
    if RequestLog.objects.filter(model_id__in=models).exists():
        return "the request log names it"
    return ""
