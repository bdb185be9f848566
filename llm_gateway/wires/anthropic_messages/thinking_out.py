"""How much to think, in the words of the model's generation.

It is a wish: a model that cannot think gets the request without it.
https://docs.claude.com/en/docs/build-with-claude/extended-thinking, .../adaptive-thinking
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llm_gateway.core.chat import Reasoning
from llm_gateway.wires._base import ModelFacts

MIN_BUDGET = 1024
BUDGET_OF_EFFORT = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32768}
_EFFORT = {"minimal": "low"}


class Thought(NamedTuple):
    thinking: dict[str, Any] | None = None
    effort: str | None = None
    max_tokens: int = 0


def encode(wish: Reasoning | None, facts: ModelFacts, max_tokens: int | None, *, own: bool) -> Thought:
    """``max_tokens`` is the caller's limit, which thinking has to fit in; without one the default
    limit grows by the budget."""
    limit = max_tokens if max_tokens is not None else facts.default_max_tokens
    if wish is None or facts.thinking == "none":
        return Thought(None, None, limit)
    if wish.effort == "none" or wish.budget == 0:
        return Thought(None if facts.thinking == "effort" else {"type": "disabled"}, None, limit)
    if facts.thinking == "budget":
        return _budget(wish, facts, limit, max_tokens)
    effort = _EFFORT.get(wish.effort, wish.effort) if wish.effort else _effort_of(wish.budget)
    if facts.thinking != "adaptive":
        return Thought(None, effort, limit)
    shown = {True: {"display": "summarized"}, False: {"display": "omitted"}, None: {}}[wish.include]
    # In this format effort alone does not ask for thoughts; elsewhere effort is how thoughts are
    # asked for.
    asked = not own or wish.budget is not None or wish.include is not None
    return Thought({"type": "adaptive", **shown} if asked else None, effort, limit)


def _budget(wish: Reasoning, facts: ModelFacts, limit: int, max_tokens: int | None) -> Thought:
    budget = wish.budget if wish.budget and wish.budget > 0 else BUDGET_OF_EFFORT.get(wish.effort or "medium", BUDGET_OF_EFFORT["medium"])
    if max_tokens is None:
        limit = min(limit + budget, facts.max_output_tokens or limit + budget)
    if limit <= MIN_BUDGET:
        return Thought(None, None, limit)
    if budget >= limit:
        budget = max(MIN_BUDGET, limit // 2)
    thinking = {"type": "enabled", "budget_tokens": max(MIN_BUDGET, budget)}
    return Thought(thinking | ({"display": "omitted"} if wish.include is False else {}), None, limit)


def _effort_of(budget: int | None) -> str | None:
    if budget is None or budget < 0:
        return None
    return next((name for name, most in BUDGET_OF_EFFORT.items() if name != "minimal" and budget <= most), "max")
