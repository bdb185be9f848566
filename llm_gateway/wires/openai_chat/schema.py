"""The request body of ``/chat/completions``, typed as far as its fields steer the gateway. Unknown
fields are skipped here and kept by :mod:`.request_in`."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class CacheControl(msgspec.Struct, gc=False):
    """Anthropic's breakpoint, which OpenRouter and its clients put into chat parts."""

    type: str | None = None
    ttl: str | None = None


class ImageUrl(msgspec.Struct, gc=False):
    url: str
    detail: str | None = None


class InputAudio(msgspec.Struct, gc=False):
    data: str
    format: str


class File(msgspec.Struct, gc=False):
    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None


class ContentPart(msgspec.Struct, gc=False):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: InputAudio | None = None
    file: File | None = None
    cache_control: CacheControl | None = None


class FunctionCall(msgspec.Struct, gc=False):
    name: str
    arguments: str | dict[str, Any] | None = None


class CustomCall(msgspec.Struct, gc=False):
    name: str
    input: str


class Call(msgspec.Struct, gc=False):
    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None
    custom: CustomCall | None = None
    extra_content: dict[str, Any] | None = None


class InMessage(msgspec.Struct):
    role: str
    content: str | list[ContentPart] | None = None
    name: str | None = None
    refusal: str | None = None
    # Clients give back what a host called its thoughts: a text, a list of pieces, an object.
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None
    audio: dict[str, Any] | None = None
    images: Any = None
    prefix: bool | None = None
    partial: bool | None = None


class FunctionTool(msgspec.Struct, gc=False):
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class CustomTool(msgspec.Struct, gc=False):
    name: Name
    description: str | None = None
    format: dict[str, Any] | None = None


class InTool(msgspec.Struct, gc=False):
    """``name`` and what follows it: a tool in the flat form of the Responses format, which some
    clients send here."""

    type: str = "function"
    function: FunctionTool | None = None
    custom: CustomTool | None = None
    cache_control: CacheControl | None = None
    name: Name | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: dict[str, Any] | None = None


class StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class JsonSchema(msgspec.Struct, gc=False):
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class Format(msgspec.Struct, gc=False):
    type: str
    json_schema: JsonSchema | None = None


class Thinking(msgspec.Struct, gc=False):
    """The switch of Z.ai, Moonshot, DeepSeek and Fireworks."""

    type: str
    budget_tokens: int | None = None


class Body(msgspec.Struct, gc=False):
    model: Name
    messages: list[InMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    tools: list[InTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: list[FunctionTool] | None = None
    function_call: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    reasoning_effort: str | None = None
    reasoning: Any = None
    thinking: Thinking | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    modalities: list[str] | None = None

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


# Fields that never change the answer: another wire leaves them out without a word.
HINTS: Final = frozenset(
    {
        "metadata",
        "store",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "prompt_cache_isolation_key",
        "stream_options",
        "perf_metrics_in_response",
        "client_metadata",
    }
)
# Decoded into the neutral noun by name; the rest of a body goes to extras.
KNOWN: Final = frozenset(Body.__struct_fields__) - {"modalities"}
# Service tiers that ask for nothing in particular.
PLAIN_TIERS: Final = frozenset({"auto", "default"})
