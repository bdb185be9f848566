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
    """Any input item: a message (with or without ``type``), a call, its output, reasoning, or one only OpenAI knows."""

    type: str | None = None
    role: str | None = None
    content: str | list[ContentPart] | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: str | list[ContentPart] | dict[str, Any] | None = None
    summary: list[ContentPart] | None = None
    encrypted_content: str | None = None
    tools: list[dict[str, Any]] | None = None


class InTool(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: dict[str, Any] | None = None
    tools: list[InTool] | None = None


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
    tools: list[InTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: dict[str, Any] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None


KNOWN: Final = frozenset(Body.__struct_fields__) - {"safety_identifier", "prompt_cache_key"}
