"""What differs between hosts of one API format, as data: a preset's, a provider row's, a model
row's, each laid over the one before.

A fact that is ``None`` keeps the layer below.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import msgspec

# Features that only some hosts support.
EXTENSIONS: Final = {
    "reasoning_content": "Thoughts go back with the history, in this field.",
    "reasoning": "Thoughts go back with the history, in this field.",
    "thought_required": "A tool call in the history is refused without its thought.",
    "thought_signature": "Google's signatures of thoughts go back with tool calls.",
    "cache_control": "Anthropic's cache breakpoints are understood.",
    "system_anywhere": "Several system messages are taken, at any place.",
    "tool_result_parts": "A tool result may be a list of parts.",
}
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class HostFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, cache_hash=True):
    """The fields mean what they do in :class:`~llm_gateway.wires.ModelFacts`."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    sampling: bool | None = None
    stop: bool | None = None
    thinking: Literal["none", "budget", "adaptive", "level", "effort"] | None = None
    drop_hints: bool | None = None
    extensions: frozenset[str] | None = None
    efforts: frozenset[Effort] | None = None
    user_limit: int | None = None
    stream_usage: bool | None = None
    openai_tools: bool | None = None

    def known(self) -> dict[str, Any]:
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}


class FactRow(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """``models``: shell patterns of upstream ids; empty: every model. ``source``: the page that
    states the fact; ``noted``: the date it was recorded, from that page or from reports about the
    host."""

    facts: HostFacts
    models: tuple[str, ...] = ()
    source: str = ""
    noted: date | None = None

    def holds_for(self, upstream_id: str) -> bool:
        name = upstream_id.lower()
        return not self.models or any(
            fnmatchcase(name, pattern) or fnmatchcase(name.rsplit("/", 1)[-1], pattern) for pattern in self.models
        )


NOTHING: Final = HostFacts()


def read_facts(value: Any) -> HostFacts:
    """Facts as an operator writes them. Raises :class:`ValueError` that says what is wrong and what
    may be written."""
    if value in (None, "", {}):
        return NOTHING
    if not isinstance(value, Mapping):
        raise ValueError('Facts are an object, for example {"user_limit": 64}.')
    for name in value:
        if name not in HostFacts.__struct_fields__:
            raise ValueError(f"There is no fact {name!r}; known are {', '.join(HostFacts.__struct_fields__)}.")
    try:
        facts = msgspec.convert(dict(value), HostFacts, strict=True)
    except msgspec.ValidationError as error:
        raise ValueError(f"A fact has a value it cannot have: {error}.") from None
    for extension in facts.extensions or ():
        if extension not in EXTENSIONS:
            raise ValueError(f"There is no extension {extension!r}; known are {', '.join(EXTENSIONS)}.")
    if facts.user_limit is not None and not 1 <= facts.user_limit <= 4096:
        raise ValueError("user_limit is a number of characters from 1 to 4096.")
    return facts
