"""The chunks of a provider's answer, typed as far as their fields mean something, and read out of
objects with other types."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core.json import dumps
from llm_gateway.wires._halves import whole


class FunctionDelta(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CustomDelta(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | None = None


class CallDelta(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None
    extra_content: Any = None


class Delta(msgspec.Struct, gc=False):
    role: str | None = None
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None
    function_call: FunctionDelta | None = None
    audio: Any = None
    images: Any = None


class ChunkChoice(msgspec.Struct, gc=False):
    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    text: str | None = None
    finish_reason: str | int | float | bool | None = None
    stop_reason: str | int | None = None
    error: Any = None


class Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    object: str | None = None
    model: str | None = None
    created: int | float | None = None
    choices: list[ChunkChoice] | None = None
    usage: dict[str, Any] | None = None
    service_tier: str | None = None
    x_groq: dict[str, Any] | None = None
    base_resp: dict[str, Any] | None = None
    error: Any = None


def coerce(value: dict[str, Any]) -> Chunk:
    """A chunk out of an object whose fields have other types than OpenAI's. Its texts may begin or
    end with half a character."""
    created = value.get("created")
    usage, x_groq = value.get("usage"), value.get("x_groq")
    choices = value.get("choices")
    return Chunk(
        id=_text(value.get("id")),
        object=_text(value.get("object")),
        model=_text(value.get("model")),
        created=created if isinstance(created, int | float) else None,
        choices=[_coerce_choice(choice) for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else None,
        usage=usage if isinstance(usage, dict) else None,
        service_tier=_text(value.get("service_tier")),
        x_groq=x_groq if isinstance(x_groq, dict) else None,
        base_resp=resp if isinstance(resp := value.get("base_resp"), dict) else None,
        error=value.get("error"),
    )


def _coerce_choice(value: dict[str, Any]) -> ChunkChoice:
    index, delta, message = value.get("index"), value.get("delta"), value.get("message")
    return ChunkChoice(
        index=index if isinstance(index, int) else None,
        delta=_coerce_delta(delta) if isinstance(delta, dict) else None,
        message=_coerce_delta(message) if isinstance(message, dict) else None,
        text=_half(value.get("text")),
        finish_reason=finish if isinstance(finish := value.get("finish_reason"), str | int | float) else None,
        stop_reason=_text(value.get("stop_reason")),
        error=value.get("error"),
    )


def _coerce_delta(value: dict[str, Any]) -> Delta:
    content, calls, legacy = value.get("content"), value.get("tool_calls"), value.get("function_call")
    return Delta(
        role=_text(value.get("role")),
        content=[content] if isinstance(content, dict) else content if isinstance(content, str | list) else None,
        reasoning_content=_half(value.get("reasoning_content")),
        reasoning=_half(value.get("reasoning")),
        refusal=_half(value.get("refusal")),
        tool_calls=[_coerce_call(call) for call in calls if isinstance(call, dict)] if isinstance(calls, list) else None,
        function_call=_coerce_function(legacy) if isinstance(legacy, dict) else None,
        audio=value.get("audio"),
        images=value.get("images"),
    )


def _coerce_call(value: dict[str, Any]) -> CallDelta:
    index, call_id, function = value.get("index"), value.get("id"), value.get("function")
    return CallDelta(
        index=index if isinstance(index, int) else None,
        id=str(call_id) if isinstance(call_id, str | int) else None,
        function=_coerce_function(function) if isinstance(function, dict) else None,
        extra_content=value.get("extra_content"),
    )


def _coerce_function(value: dict[str, Any]) -> FunctionDelta:
    arguments = value.get("arguments")
    if isinstance(arguments, list):
        arguments = dumps(arguments).decode()
    return FunctionDelta(name=_text(value.get("name")), arguments=arguments if isinstance(arguments, str | dict) else None)


def _text(value: Any) -> str | None:
    return whole(value) if isinstance(value, str) else None


def _half(value: Any) -> str | None:
    """Text that goes on in the next chunk."""
    return value if isinstance(value, str) else None
