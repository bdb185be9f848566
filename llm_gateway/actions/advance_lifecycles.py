"""A model whose last day has passed is retired, whether or not anybody loaded a newer catalogue."""

from __future__ import annotations

from datetime import date

from django.utils import timezone

from llm_gateway.core.catalog import Lifecycle
from llm_gateway.models import LanguageModel


def advance_lifecycles(today: date | None = None) -> list[str]:
    """Names that were retired just now. What the operator edited is the operator's."""
    due = LanguageModel.objects.filter(retires_on__lte=today or timezone.now().date(), edited=False).exclude(lifecycle=Lifecycle.RETIRED)
    names = list(due.order_by("name").values_list("name", flat=True))
    if names:
        due.update(lifecycle=Lifecycle.RETIRED)
    return names
