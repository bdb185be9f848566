"""Whether a provider may go, or be called something else: the log and the bills name it."""

from __future__ import annotations

from llm_gateway.models import Provider, RequestLog
from llm_gateway.providers import services


def why_kept(row: Provider) -> str:
    """A sentence where requests were billed by its prices, or are under way; empty where it may be deleted with keys, models and prices."""
    models = list(row.models.values_list("pk", flat=True))
    if RequestLog.objects.filter(model_id__in=models, price_id__isnull=False).exists():
        return "requests were billed by its prices, which have to stay; switch it off instead"
    if RequestLog.objects.filter(state="open", model_id__in=models).exists():
        return "a request to it is under way; try again when it has ended, or switch it off"
    return ""


def why_named(row: Provider) -> str:
    """A sentence where its name is written down elsewhere; empty where it may be renamed."""
    if row.service != "custom" and row.service in services:
        return "it is a provider the gateway brings along"
    models = list(row.models.values_list("pk", flat=True))
    if RequestLog.objects.filter(model_id__in=models).exists():
        return "the request log names it"
    return ""
