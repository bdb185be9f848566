"""Small helpers of both OpenAI encoders."""

from __future__ import annotations

import hashlib
from typing import Any

from llm_gateway.core.chat import ChatRequest, Reasoning, Tool, ToolChoice
from llm_gateway.wires import _capabilities
from llm_gateway.wires._base import ModelFacts


def without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def short_user(user: str, facts: ModelFacts) -> str:
    """The caller's end user within the host's limit: a stable digest where the name is longer, as
    Claude Code's is."""
    return user if len(user) <= facts.user_limit else hashlib.sha256(user.encode("utf-8", "replace")).hexdigest()[: facts.user_limit]


_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def effort_of(reasoning: Reasoning, facts: ModelFacts) -> str | None:
    """The effort for a wire that knows no budgets, or the nearest one the model takes; ``None``
    leaves it to the model."""
    effort = _effort(reasoning)
    if effort is None or not facts.efforts or effort in facts.efforts or effort not in _EFFORTS:
        return effort
    at = _EFFORTS.index(effort)
    more = [name for name in _EFFORTS[at:] if name in facts.efforts]
    return more[0] if more else [name for name in _EFFORTS[:at] if name in facts.efforts][-1]


def _effort(reasoning: Reasoning) -> str | None:
    if reasoning.effort is not None:
        return reasoning.effort
    budget = reasoning.budget
    if budget is None or budget < 0:
        return None
    if budget == 0:
        return "none"
    return "low" if budget <= 2048 else "medium" if budget <= 8192 else "high"


def offered(chat: ChatRequest, wire: str, facts: ModelFacts) -> tuple[list[Tool], ToolChoice | None]:
    """The tools and the choice to send. Only OpenAI's own formats say ``allowed_tools``, and few
    hosts know it: a narrowed choice of another origin, or at another host, becomes fewer tools."""
    tools = _capabilities.hosted(chat, wire)
    choice = chat.tool_choice
    if choice is None or not choice.allowed or (facts.openai_tools and chat.origin in ("openai_chat", "openai_responses")):
        return tools, choice
    return [tool for tool in tools if tool.name in choice.allowed], ToolChoice(mode=choice.mode)
