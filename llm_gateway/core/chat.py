"""The neutral conversation: what every dialect decodes to and every wire encodes from.

Frozen structs of plain values. Tool results are parts of user turns; system text is the ``system``
role at its place in ``messages``. JSON documents (tool arguments, schemas) travel as they came:
arguments as text, schemas as decoded JSON.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec

from .usage import Usage


class Part(msgspec.Struct, frozen=True, kw_only=True, tag_field="part"):
    """A piece of a message."""


class Text(Part, frozen=True, tag="text"):
    """``cache``: the caller's cache breakpoint after this part (``5m`` or ``1h``), a hint only
    Anthropic takes."""

    text: str
    cache: str | None = None


class Image(Part, frozen=True, tag="image"):
    """Exactly one of ``data`` (base64), ``url`` and ``file_id``."""

    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    detail: str | None = None
    cache: str | None = None


class Document(Part, frozen=True, tag="document"):
    """One of ``data`` (base64), ``url``, ``text`` and ``file_id``."""

    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    text: str | None = None
    file_id: str | None = None
    name: str | None = None
    cache: str | None = None


class Audio(Part, frozen=True, tag="audio"):
    """``data`` is base64, ``format`` such as ``wav`` or ``mp3``."""

    data: str
    format: str


class ToolCall(Part, frozen=True, tag="tool_call"):
    """``arguments`` is the model's own text: JSON for functions (perhaps invalid), free text for
    ``custom`` tools. ``signature``: an opaque token some wires need back with the call; ``issuer``
    as in :class:`Thinking`."""

    id: str
    name: str
    arguments: str
    custom: bool = False
    signature: str | None = None
    issuer: str | None = None
    cache: str | None = None


class ToolResult(Part, frozen=True, tag="tool_result"):
    call_id: str
    content: tuple[Part, ...]
    name: str | None = None
    is_error: bool = False
    custom: bool = False
    cache: str | None = None


class Thinking(Part, frozen=True, tag="thinking"):
    """Reasoning text with the opaque ``signature`` that its own wire wants back; ``redacted`` is an
    encrypted block instead of text. ``wire`` names the format the signature belongs to; another
    wire drops the signature. ``issuer``: the provider and model family that made it, if known; the
    gateway sends it to no other. ``id``: Responses item id."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    wire: str | None = None
    issuer: str | None = None
    id: str | None = None


class Refusal(Part, frozen=True, tag="refusal"):
    text: str


class Opaque(Part, frozen=True, tag="opaque"):
    """A piece only the format ``wire`` understands (a provider-side tool's call or result), as it
    came. Another wire gets its content as text; another dialect leaves it out of an answer."""

    wire: str
    raw: dict[str, Any]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]
    name: str | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function the model may call. ``parameters`` is JSON Schema (``None``: takes nothing).
    ``custom`` tools take free text (``format`` as the caller wrote it). A provider's own tool (web
    search …) has ``builtin``: its wire name, and ``raw`` its body."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    custom: bool = False
    format: dict[str, Any] | None = None
    builtin: str | None = None
    raw: dict[str, Any] | None = None
    cache: str | None = None


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """``mode`` ``tool`` forces ``name``; ``allowed`` narrows the tools for ``auto`` and
    ``required``."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None
    allowed: tuple[str, ...] = ()


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["text", "json", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How much to think: ``effort`` none|minimal|low|medium|high|xhigh|max, or a ``budget`` in
    tokens (0 off, -1 the model decides). ``include``: the caller wants to see the thoughts;
    ``summary`` the Responses wish auto|concise|detailed."""

    effort: str | None = None
    budget: int | None = None
    include: bool | None = None
    summary: str | None = None


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request for one or more (``n``) answers.

    ``extras``: fields of the caller's dialect with a meaning this noun does not hold, by wire name;
    an encoder of another wire refuses them with ``unsupported_parameter``. ``hints``: fields
    without effect on the answer (cache keys, store, client metadata), which another wire leaves
    out. ``origin``: the dialect they come from. ``session``: what is the same in every request of
    one session, for the prompt cache of a provider that wants a key.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int = 1
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    user: str | None = None
    service_tier: str | None = None
    stream: bool = False
    include_usage: bool = False
    extras: dict[str, Any] = {}
    hints: dict[str, Any] = {}
    origin: str = "native"
    session: str = ""
    # The caller uses chat completions' legacy function calls, so the answer uses them too.
    functions: bool = False


class FinishReason(StrEnum):
    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    MODEL_FAULT = "model_fault"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. ``raw_finish``: the provider's own word; ``stop_sequence``: the one that ended
    it."""

    index: int = 0
    parts: tuple[Part, ...] = ()
    finish: FinishReason | None = None
    raw_finish: str | None = None
    stop_sequence: str | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thinking(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Thinking))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


class ChatResponse(msgspec.Struct, frozen=True, kw_only=True):
    """``usage`` is ``None`` when the provider sent none. ``created`` is Unix seconds."""

    id: str = ""
    model: str = ""
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    created: int | None = None

    @property
    def text(self) -> str:
        return self.choices[0].text if self.choices else ""
