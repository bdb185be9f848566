"""A provider refuses one of our keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from llm_gateway.core.keys import KeyState
from llm_gateway.models import ProviderKey

from . import events
from ._base import Event, Figures, Happening

REFUSED = (KeyState.INVALID, KeyState.NO_PERMISSION, KeyState.OUT_OF_CREDIT)


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    rows = ProviderKey.objects.filter(enabled=True, provider__enabled=True, state__in=REFUSED).select_related("provider")
    return [
        Happening(f"key:{row.pk}", f"The key {row.name} of {row.provider.title} is {row.get_state_display()}. {row.reason}".strip()[:480])
        for row in rows
    ]


events.add(
    "key_invalid",
    Event(
        title="Provider key invalid",
        summary="A provider refuses a key: invalid, without permission, or out of credit.",
        look=look,
        urgent=True,
    ),
)
