"""What a model can take, judged by its facts. Capabilities count only where the facts list any."""

from __future__ import annotations

from typing import Any

from llm_gateway.core.chat import Audio, ChatRequest, Document, Image, Part, Tool, ToolResult
from llm_gateway.core.errors import UnsupportedParameter
from llm_gateway.wires._base import ModelFacts
from llm_gateway.wires._format import unthought
from llm_gateway.wires._wishes import fitted


def check(chat: ChatRequest, facts: ModelFacts) -> None:
    """Refuse by name what the model cannot do."""
    if chat.tools:
        _need("tools", "tools", facts)
    if chat.n > 1:
        _need("n", "n", facts)
    if chat.response_format and chat.response_format.kind == "json_schema":
        _need("json_schema", "response_format", facts)
    if chat.stop and not facts.stop:
        raise UnsupportedParameter(f"The model `{facts.upstream_id}` takes no stop sequences.", param="stop")
    for at, message in enumerate(chat.messages):
        for part in message.parts:
            _check_part(part, f"messages[{at}]", facts)


# Values that say nothing, which models without sampling take; the others take none.
_NEUTRAL = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


def sampling(chat: ChatRequest, facts: ModelFacts, *names: str) -> dict[str, Any]:
    """The given sampling fields among ``names``; a model without sampling takes only values that
    say nothing."""
    given = {name: value for name in names if (value := getattr(chat, name)) is not None}
    if facts.sampling:
        return given
    for name, value in given.items():
        if value != _NEUTRAL.get(name):
            raise UnsupportedParameter(f"The model `{facts.upstream_id}` takes no {name}.", param=name)
    return {}


def hosted(chat: ChatRequest, wire: str) -> list[Tool]:
    """The tools to send. A provider-side tool of another format has no host here: it is left out
    where the caller brought functions beside it and leaves the choice to the model (agents offer
    web search to every model), refused where it is what was asked for."""
    forced = chat.tool_choice.name if chat.tool_choice else None
    kept = [tool for tool in chat.tools if not tool.builtin or chat.origin == wire]
    for tool in chat.tools:
        if tool.builtin and chat.origin != wire and (not kept or forced in (tool.name, tool.builtin)):
            raise UnsupportedParameter(f"The tool `{tool.builtin}` runs only at a provider of its own format.", param="tools")
    return kept


def left_out(chat: ChatRequest, facts: ModelFacts, wire: str) -> tuple[str, ...]:
    """What is left out of a translated request although it could have changed the answer; the
    caller is told."""
    names = [f"tools.{tool.builtin}" for tool in chat.tools if tool.builtin and chat.origin != wire]
    wish = chat.reasoning
    if wish is not None and wish.effort != "none" and wish.budget != 0:
        cannot = facts.thinking == "none" or (wire in unthought and unthought.get(wire)(chat, facts))
        names += ["reasoning"] if cannot else []
    if chat.origin != wire:
        names += [name for name in ("reasoning.context",) if name in chat.hints]
    names += fitted(chat, wire, facts).left_out
    return tuple(dict.fromkeys(names))


def refuse_extras(chat: ChatRequest, wire: str) -> None:
    if chat.origin != wire and chat.extras:
        name = next(iter(chat.extras))
        raise UnsupportedParameter(f"This provider has no counterpart for `{name}`; leave it out.", param=name)


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


def _need(capability: str, param: str, facts: ModelFacts) -> None:
    if facts.capabilities and capability not in facts.capabilities:
        raise UnsupportedParameter(f"The model `{facts.upstream_id}` does not take {capability}.", param=param)
