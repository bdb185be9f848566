"""The request body's types. https://docs.claude.com/en/api/messages"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=0)]
Content = str | list[dict[str, Any]]


class MessageIn(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: Content


class MetadataIn(msgspec.Struct):
    user_id: str | None = None


class ThinkingIn(msgspec.Struct):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class FormatIn(msgspec.Struct):
    schema: dict[str, Any]
    type: Literal["json_schema"] = "json_schema"


class OutputIn(msgspec.Struct):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: FormatIn | None = None


class ToolChoiceIn(msgspec.Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class RequestIn(msgspec.Struct):
    model: str
    messages: Annotated[list[MessageIn], msgspec.Meta(min_length=1)]
    max_tokens: _Count | None = None
    system: Content | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: ToolChoiceIn | None = None
    thinking: ThinkingIn | None = None
    output_config: OutputIn | None = None
    output_format: FormatIn | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    service_tier: str | None = None
    speed: Any = None
    metadata: MetadataIn | None = None
    thread: Any = None
