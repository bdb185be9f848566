"""A budget has reached one of its percentages, or a provider billed above a hold. The journal writes it with the charge."""

from __future__ import annotations

from . import events
from ._base import Event

events.add(
    "budget_threshold",
    Event(
        title="Budget threshold",
        summary="A budget has reached one of its percentages, or a provider billed more than was held.",
        kinds=frozenset({"threshold", "overrun"}),
    ),
)
