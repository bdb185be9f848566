"""Wishes that a target has no place for: what is left out and told, and what the gateway does in the provider's stead.

A hint changes how an answer comes about, not what it is, so a request is never refused for one: programs send the same body to every
model. What could have changed the answer is named to the caller.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llm_gateway.core.chat import ChatRequest
from llm_gateway.wires._base import ModelFacts

CHAT: Final = "openai_chat"
RESPONSES: Final = "openai_responses"
MESSAGES: Final = "anthropic_messages"
GENERATE: Final = "gemini_generate"

# Fields that hint at something, and the formats that know them. https://platform.openai.com/docs/api-reference, read 2026-11-22
_HINTS: Final[dict[str, frozenset[str]]] = {
    "verbosity": frozenset({CHAT, RESPONSES}),
    "prediction": frozenset({CHAT}),
    "truncation": frozenset({RESPONSES}),
    "context_management": frozenset({RESPONSES, MESSAGES}),
}
_IN_RESPONSES: Final = {"verbosity": "text.verbosity"}
_SEEDS: Final = frozenset({CHAT, GENERATE})
# How many stop sequences a format takes: OpenAI's and Google's references.
_MOST_STOPS: Final = {CHAT: 4, GENERATE: 5}
# Anthropic: "stop_sequences: each stop sequence must contain non-whitespace".
_NO_BLANK_STOPS: Final = frozenset({MESSAGES})
# Says what is so anyway.
_NEUTRAL_REASONING: Final[dict[str, Any]] = {"mode": "standard"}


class Fitted(msgspec.Struct, frozen=True):
    """``chat`` without what the target has no place for; ``left_out`` by the caller's names; ``cuts``: stop sequences at which the gateway
    itself cuts the answer."""

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


def _extras(chat: ChatRequest, wire: str, facts: ModelFacts) -> tuple[dict[str, Any], list[str]]:
    extras = dict(chat.extras)
    told: list[str] = []
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
