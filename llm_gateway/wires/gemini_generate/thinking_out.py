"""How much to think, in the words of the model's generation.

It is a wish: a model that cannot think gets the request without it.
https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

from typing import Any

from llm_gateway.core.chat import Reasoning
from llm_gateway.wires._base import ModelFacts

_BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
_LEVELS = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH", "max": "XHIGH"}


def encode(wish: Reasoning | None, facts: ModelFacts, *, own: bool, shown: bool = False) -> dict[str, Any]:
    """``shown``: the caller's format shows thoughts to who asks for thinking; here they have to be
    asked for, too."""
    if wish is None or facts.thinking == "none":
        return {}
    config: dict[str, Any] = {}
    off = wish.effort == "none" or (wish.effort is None and wish.budget == 0)
    include = wish.include if wish.include is not None or off or not shown else True
    if include is not None and not (off and include):
        config["includeThoughts"] = include
    if facts.thinking == "budget":
        budget = _BUDGETS.get(wish.effort or "", wish.budget) if wish.budget in (None, -1) or off else wish.budget
        if budget is not None:
            config["thinkingBudget"] = max(-1, budget)
    elif wish.effort is not None:
        config["thinkingLevel"] = _LEVELS.get(wish.effort, wish.effort.upper())
    elif wish.budget is not None and own:
        config["thinkingBudget"] = wish.budget
    elif wish.budget is not None and wish.budget >= 0:
        config["thinkingLevel"] = next((_LEVELS[name] for name, most in _BUDGETS.items() if wish.budget <= most), "HIGH")
    return config
