"""The request body of ``/responses``, typed as far as its fields steer the gateway."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class ContentPart(msgspec.Struct, gc=False):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: dict[str, str] | None = None


class Item(msgspec.Struct, gc=False):
    """Any input item: a message (with or without ``type``), a call, its output, reasoning, or one
    that only its provider knows. Untyped, for on its own wire an item passes as it is; a
    translation reads it, and says what is wrong with those it needs."""

    type: str | None = None
    role: str | None = None
    content: Any = None
    id: Any = None
    call_id: Any = None
    name: Any = None
    namespace: Any = None
    arguments: Any = None
    input: Any = None
    output: Any = None
    summary: Any = None
    encrypted_content: Any = None
    tools: Any = None


class InTool(msgspec.Struct, gc=False):
    """Typed where the gateway reads it: functions, free-text tools and namespaces."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: dict[str, Any] | None = None
    tools: list[InTool] | None = None


class AnyTool(msgspec.Struct, gc=False):
    type: str


class Format(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class TextConfig(msgspec.Struct, gc=False):
    format: Format | None = None
    verbosity: str | None = None


class Body(msgspec.Struct, gc=False):
    model: Name
    input: str | list[Item] | None = None
    instructions: str | None = None
    max_output_tokens: Count | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    tools: list[AnyTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: dict[str, Any] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None


KNOWN: Final = frozenset(Body.__struct_fields__) - {"safety_identifier", "prompt_cache_key"}
