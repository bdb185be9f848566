"""Small helpers of both OpenAI encoders."""

from __future__ import annotations

from typing import Any

from llm_gateway.core.chat import ChatRequest, Reasoning, Tool, ToolChoice
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires import _capabilities
from llm_gateway.wires._base import ModelFacts


def without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def sampling(chat: ChatRequest, facts: ModelFacts, *names: str) -> dict[str, Any]:
    """The sampling fields to send among ``names``; a model without sampling takes only values that say nothing."""
    found: dict[str, Any] = _capabilities.sampling(chat, facts, tuple(name for name in names if not name.endswith("_penalty")))
    for name in names:
        value = getattr(chat, name)
        if not name.endswith("_penalty") or value is None:
            continue
        if facts.sampling:
            found[name] = value
        elif value != 0:
            raise UnsupportedParameter(f"The model `{facts.upstream_id}` takes no {name}.", param=name)
    return found


def effort_of(reasoning: Reasoning) -> str | None:
    """The effort for a wire that knows no budgets; ``None`` leaves it to the model."""
    if reasoning.effort is not None:
        return reasoning.effort
    budget = reasoning.budget
    if budget is None or budget < 0:
        return None
    if budget == 0:
        return "none"
    return "low" if budget <= 2048 else "medium" if budget <= 8192 else "high"


def offered(chat: ChatRequest, wire: str) -> tuple[list[Tool], ToolChoice | None]:
    """The tools and the choice to send. Only OpenAI's own formats say ``allowed_tools``, and few hosts know it: a narrowed choice of
    another origin becomes fewer tools."""
    tools = _capabilities.hosted(chat, wire)
    choice = chat.tool_choice
    if choice is None or not choice.allowed or chat.origin in ("openai_chat", "openai_responses"):
        return tools, choice
    return [tool for tool in tools if tool.name in choice.allowed], ToolChoice(mode=choice.mode)
