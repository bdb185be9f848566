"""The values every wire is decoded to and rendered from. Frozen; no wire's words in here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from llm_gateway.simulator import tokens

Finish = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer. ``freeform`` tools take one string instead of JSON arguments (OpenAI custom tools)."""

    name: str
    schema: dict[str, Any]
    freeform: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: dict[str, Any]
    freeform: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """One generation request, whatever wire it came by.

    ``choice`` is auto, none, required or ``=name``. ``effort`` None means: do not reason. ``cacheable`` is how many
    characters of the prompt may be cached (None: all of it), ``cache_ttl`` which price class a write belongs to.
    """

    model: str
    texts: tuple[str, ...]
    last_user: str = ""
    tool_results: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    parallel: bool = True
    schema: dict[str, Any] | None = None
    json_mode: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    stream: bool = False
    effort: str | None = None
    show_thinking: bool = True
    overhead: int = 0
    cacheable: int | None = None
    cache_ttl: Literal["5m", "1h"] = "5m"

    def input_tokens(self) -> int:
        """Prompt tokens: every text, plus the wire-independent overhead of messages, tools and media."""
        return sum(tokens.count(text) for text in self.texts) + self.overhead


@dataclass(frozen=True, slots=True)
class Usage:
    """``input`` includes the cached part; ``output`` includes reasoning. ``bend`` names a usage fault to render."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0
    cache_ttl: Literal["5m", "1h"] = "5m"
    reasoning: int = 0
    bend: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer. ``pieces`` are the text as it is streamed and join to ``text``."""

    text: str
    pieces: tuple[str, ...]
    finish: Finish
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    stop_sequence: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the simulated model says. ``choices`` is empty only under the fault of that name."""

    choices: tuple[Choice, ...]
    usage: Usage
    blocked: bool = field(default=False)

    @property
    def first(self) -> Choice:
        """The first choice, or an empty one that stopped."""
        return self.choices[0] if self.choices else Choice("", (), "stop")


def bent(usage: dict[str, Any], bend: str) -> dict[str, Any] | None:
    """``usage`` as the usage fault ``bend`` would have it: every number replaced, or the whole object gone."""
    if not bend:
        return usage
    if bend == "none":
        return None

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replace(item) for key, item in value.items()}
        if isinstance(value, list):
            return [replace(item) for item in value]
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        return {"zero": 0, "huge": 10**12 + value, "negative": -1 - value, "string": str(value)}.get(bend, value)

    bent_usage: dict[str, Any] = replace(usage)
    return bent_usage
