"""The request body's types, in camelCase.
https://ai.google.dev/api/generate-content#request-body"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from .media import Blob, File

_Count = Annotated[int, msgspec.Meta(ge=0)]


class ContentIn(msgspec.Struct):
    parts: list[dict[str, Any]] | None = None
    role: Literal["user", "model", "function", "system"] | None = None


class CallIn(msgspec.Struct):
    name: str
    id: str | None = None
    args: dict[str, Any] | None = None


class ResultPartIn(msgspec.Struct, rename="camel"):
    inline_data: Blob | None = None
    file_data: File | None = None


class ResultIn(msgspec.Struct):
    name: str
    id: str | None = None
    response: dict[str, Any] | None = None
    parts: list[dict[str, Any]] | None = None


class PartIn(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: File | None = None
    function_call: CallIn | None = None
    function_response: ResultIn | None = None


class ThinkingIn(msgspec.Struct, rename="camel"):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class ConfigIn(msgspec.Struct, rename="camel"):
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    candidate_count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_output_tokens: _Count | None = None
    stop_sequences: list[str] | None = None
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    thinking_config: ThinkingIn | None = None


class CallingIn(msgspec.Struct, rename="camel"):
    mode: str | int | None = None
    allowed_function_names: list[str] | None = None


class ToolConfigIn(msgspec.Struct, rename="camel"):
    function_calling_config: CallingIn | None = None


class DeclarationIn(msgspec.Struct, rename="camel"):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None


class SafetyIn(msgspec.Struct):
    category: str | int | None = None
    threshold: str | int | None = None


class RequestIn(msgspec.Struct, rename="camel"):
    contents: list[ContentIn]
    system_instruction: ContentIn | str | None = None
    generation_config: ConfigIn | None = None
    tools: list[dict[str, Any]] | None = None
    tool_config: ToolConfigIn | None = None
    safety_settings: list[SafetyIn] | None = None
    service_tier: str | None = None
