"""Go back to what was in force before, with the settings it had then."""

from __future__ import annotations

from typing import Any

from llm_gateway.models import Strategy, StrategyActivation

from . import ActionError
from .activate_strategy import activate_strategy


def rollback_strategy(to: StrategyActivation | None = None, user: Any = None, via: str = "admin") -> StrategyActivation:
    """``to``: an activation of the history, by default the last one that was another strategy or had other settings.

    Raises :class:`ActionError` when there is none or its settings are no longer valid.
    """
    if to is None:
        to = _previous()
    return activate_strategy(to.strategy.name, user=user, via=f"{via}, rollback", settings=to.settings)


def _previous() -> StrategyActivation:
    active = Strategy.objects.filter(active=True).first()
    for entry in StrategyActivation.objects.select_related("strategy").order_by("-pk"):
        if active is None or entry.strategy_id != active.pk or entry.settings != active.settings:
            return entry
    raise ActionError("No earlier strategy is known to go back to.")
