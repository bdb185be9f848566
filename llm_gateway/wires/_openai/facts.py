"""What a model or host can take, judged by its facts; shared by both OpenAI encoders."""

from __future__ import annotations

from typing import Any

from llm_gateway.core.chat import Audio, ChatRequest, Document, Image, Part, Reasoning, Tool, ToolResult
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires._base import ModelFacts


def without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def check(chat: ChatRequest, facts: ModelFacts) -> None:
    """Refuse by name what the target cannot do. Capabilities are judged only where the facts list any."""
    if not facts.sampling:
        for name in ("temperature", "top_p"):
            if getattr(chat, name) not in (None, 1):
                raise _no(name, facts)
        for name in ("presence_penalty", "frequency_penalty"):
            if getattr(chat, name) not in (None, 0):
                raise _no(name, facts)
        if chat.top_k is not None:
            raise _no("top_k", facts)
    if chat.stop and not facts.stop:
        raise _no("stop", facts)
    wish = chat.response_format
    if wish and wish.kind == "json_schema":
        _need("json_schema", "response_format", facts)
    if chat.tools:
        _need("tools", "tools", facts)
    if chat.n > 1:
        _need("n", "n", facts)
    for position, message in enumerate(chat.messages):
        for part in message.parts:
            _check_part(part, f"messages[{position}]", facts)


def _check_part(part: Part, at: str, facts: ModelFacts) -> None:
    match part:
        case Image():
            _need("images", at, facts)
        case Document(text=None):
            _need("documents", at, facts)
        case Audio():
            _need("audio", at, facts)
        case ToolResult():
            for inner in part.content:
                _check_part(inner, at, facts)
        case _:
            pass


def _need(capability: str, param: str, facts: ModelFacts) -> None:
    if facts.capabilities and capability not in facts.capabilities:
        raise UnsupportedParameter(f"The model `{facts.upstream_id}` does not take {capability}.", param=param)


def _no(param: str, facts: ModelFacts) -> UnsupportedParameter:
    return UnsupportedParameter(f"The model `{facts.upstream_id}` does not take `{param}`; leave it out.", param=param)


def hosted(chat: ChatRequest, wire: str) -> list[Tool]:
    """The tools to send. A provider's own tool of another format has no host here: it is left out where the caller brought functions
    beside it and leaves the choice to the model (agents offer web search to every model), refused where it is what was asked for."""
    forced = chat.tool_choice.name if chat.tool_choice else None
    kept = [tool for tool in chat.tools if not tool.builtin or chat.origin == wire]
    for tool in chat.tools:
        if tool.builtin and chat.origin != wire and (not kept or forced in (tool.name, tool.builtin)):
            raise UnsupportedParameter(f"The tool `{tool.builtin}` runs only at a provider of its own format.", param="tools")
    return kept


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
