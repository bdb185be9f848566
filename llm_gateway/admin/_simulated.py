"""What stands in the head of every page while answers are not from real models."""

from __future__ import annotations

from django.http import HttpRequest

from llm_gateway.core.errors import StoreUnavailable
from llm_gateway.wiring import gateway


def label(request: HttpRequest) -> list[str] | None:
    """Text and tone, as Unfold wants them; from the catalogue in memory, so that no page asks the database for it."""
    try:
        providers = gateway().catalog.snapshot().providers.values()
    except StoreUnavailable:
        return None
    return ["Simulated: nothing here is real", "info"] if any(one.simulated for one in providers) else None
