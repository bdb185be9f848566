"""Wishes that a target has no place for: what is left out and told, and what the gateway does in
the provider's stead.

A hint changes how an answer comes about, not what it is, so a request is never refused for one:
programs send the same body to every model. What could have changed the answer is named to the
caller.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llm_gateway.core.chat import ChatRequest, Tool
from llm_gateway.wires._base import ModelFacts

CHAT: Final = "openai_chat"
RESPONSES: Final = "openai_responses"
MESSAGES: Final = "anthropic_messages"
GENERATE: Final = "gemini_generate"

# Fields that hint at something, and the formats that know them.
# https://platform.openai.com/docs/api-reference, read 2026-11-22
_HINTS: Final[dict[str, frozenset[str]]] = {
    "verbosity": frozenset({CHAT, RESPONSES}),
    "prediction": frozenset({CHAT}),
    "truncation": frozenset({RESPONSES}),
    "context_management": frozenset({RESPONSES, MESSAGES}),
    # What clients of OpenRouter, Qwen and vLLM ask of their hosts: how to route, whether to report
    # usage and to show thoughts. https://openrouter.ai/docs/api-reference/parameters,
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html, 2026-11-30
    **dict.fromkeys(
        ("usage", "provider", "route", "transforms", "include_reasoning", "enable_thinking", "chat_template_kwargs"), frozenset({CHAT})
    ),
}
_IN_RESPONSES: Final = {"verbosity": "text.verbosity"}
_OPENAI: Final = frozenset({CHAT, RESPONSES})
_SEEDS: Final = frozenset({CHAT, GENERATE})
# How many stop sequences a format takes: OpenAI's and Google's references.
_MOST_STOPS: Final = {CHAT: 4, GENERATE: 5}
# Anthropic: "stop_sequences: each stop sequence must contain non-whitespace".
_NO_BLANK_STOPS: Final = frozenset({MESSAGES})
# Says what is so anyway.
_NEUTRAL_REASONING: Final[dict[str, Any]] = {"mode": "standard"}


class Fitted(msgspec.Struct, frozen=True):
    """``chat`` without what the target has no place for; ``left_out`` by the caller's names;
    ``cuts``: stop sequences at which the gateway itself cuts the answer."""

    chat: ChatRequest
    left_out: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()


def fitted(chat: ChatRequest, wire: str, facts: ModelFacts) -> Fitted:
    changes: dict[str, Any] = {}
    told: list[str] = []
    if chat.origin != wire:
        extras, told = _extras(chat, wire, facts)
        if extras != chat.extras:
            changes["extras"] = extras
        tools, loose = _tools(chat, wire)
        if loose:
            changes["tools"] = tools
            told += loose
        if chat.seed is not None and wire not in _SEEDS:
            changes["seed"] = None
            told.append("seed")
    cuts = stops_to_cut(chat.stop, wire, facts)
    if cuts or "" in chat.stop:
        changes["stop"] = tuple(stop for stop in chat.stop if stop and stop not in cuts)
    return Fitted(msgspec.structs.replace(chat, **changes) if changes else chat, tuple(told), cuts)


def stops_to_cut(stops: tuple[str, ...], wire: str, facts: ModelFacts) -> tuple[str, ...]:
    given = tuple(dict.fromkeys(stop for stop in stops if stop))
    if wire == RESPONSES or not facts.stop:
        return given
    taken = [stop for stop in given if stop.strip() or wire not in _NO_BLANK_STOPS][: _MOST_STOPS.get(wire)]
    return tuple(stop for stop in given if stop not in taken)


def _tools(chat: ChatRequest, wire: str) -> tuple[tuple[Tool, ...], list[str]]:
    """OpenAI's strict schemas close every object and require every property, Anthropic's may leave
    some out: such a one is not refused but sent as a schema that is not held to."""
    if wire not in _OPENAI or chat.origin in _OPENAI:
        return chat.tools, []
    loose = [at for at, tool in enumerate(chat.tools) if tool.strict and not _is_strict(tool.parameters)]
    tools = tuple(msgspec.structs.replace(tool, strict=False) if at in loose else tool for at, tool in enumerate(chat.tools))
    return tools, [f"tools[{at}].strict" for at in loose]


def _is_strict(schema: Any) -> bool:
    match schema:
        case list():
            return all(map(_is_strict, schema))
        case dict():
            inner = schema.get("properties")
            properties = inner if isinstance(inner, dict) else {}
            if properties or schema.get("type") == "object":
                open_ones = properties.keys() - set(schema.get("required") or ())
                if open_ones or schema.get("additionalProperties") is not False:
                    return False
            return all(map(_is_strict, [*properties.values(), *(one for name, one in schema.items() if name != "properties")]))
    return True


def _neutral(value: Any) -> bool:
    """Whether a field asks for nothing."""
    return value is False or value == []


def _extras(chat: ChatRequest, wire: str, facts: ModelFacts) -> tuple[dict[str, Any], list[str]]:
    extras = {name: value for name, value in chat.extras.items() if not _neutral(value)}
    told: list[str] = []
    if isinstance(config := extras.get("generationConfig"), dict):
        extras["generationConfig"] = {name: value for name, value in config.items() if not _neutral(value)}
        if not extras["generationConfig"]:
            del extras["generationConfig"]
    for name, takers in _HINTS.items():
        if name in extras and (wire not in takers or facts.drop_hints or not _same_family(chat.origin, wire)):
            del extras[name]
            told.append(_IN_RESPONSES.get(name, name) if chat.origin == RESPONSES else name)
    if chat.origin == RESPONSES:
        # It bounds the provider's own tools, which run at no other provider.
        extras.pop("max_tool_calls", None)
        rest = extras.pop("reasoning", None)
        if isinstance(rest, dict):
            told += [f"reasoning.{name}" for name, value in rest.items() if _NEUTRAL_REASONING.get(name) != value]
    return extras, told


def _same_family(origin: str, wire: str) -> bool:
    """OpenAI's two formats mean the same by a name."""
    return {origin, wire} <= {CHAT, RESPONSES}
