"""A chat answer, whole or in chunks, as events. One machine reads both, so a stream and its whole twin cannot differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from llm_gateway.core.chat import FinishReason, Image
from llm_gateway.core.events import (
    Event,
    Finish,
    PartAdded,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    UsageReport,
)
from llm_gateway.core.json import dumps
from llm_gateway.wires._openai.ids import call_id
from llm_gateway.wires._openai.inbound import split_data_url
from llm_gateway.wires._openai.usage import decode_usage

from .decode_messages import signature_of


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
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    error: Any = None


class Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    choices: list[ChunkChoice] | None = None
    usage: dict[str, Any] | None = None
    service_tier: str | None = None
    x_groq: dict[str, Any] | None = None
    error: Any = None


_FINISH: Final = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,  # Z.ai
    "refusal": FinishReason.REFUSAL,
    "error": FinishReason.MODEL_FAULT,
    "abort": FinishReason.MODEL_FAULT,
    "network_error": FinishReason.MODEL_FAULT,  # Z.ai
    "insufficient_system_resource": FinishReason.MODEL_FAULT,  # DeepSeek
}


class _Call:
    __slots__ = ("custom", "id", "index", "name", "signature", "started")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.custom = False
        self.signature: str | None = None
        self.started = False


class _Choice:
    __slots__ = ("by_key", "calls", "finished", "refused")

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.by_key: dict[int, _Call] = {}
        self.refused = False
        self.finished = False


class Reader:
    """Turns chunks into events; keeps what binds them (which call a delta belongs to, who has finished)."""

    __slots__ = ("_choices", "_id", "_started")

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._started = False
        self._id = ""

    @property
    def complete(self) -> bool:
        """Every answer that began has its finish reason, and there is one."""
        return bool(self._choices) and all(choice.finished for choice in self._choices.values())

    def read(self, chunk: Chunk) -> list[Event]:
        events: list[Event] = []
        if not self._started and (chunk.id or chunk.choices):
            self._started = True
            self._id = chunk.id or ""
            events.append(Start(self._id, chunk.model or "", int(chunk.created) if chunk.created is not None else None))
        for position, choice in enumerate(chunk.choices or ()):
            index = position if choice.index is None else choice.index
            state = self._choices.get(index)
            if state is None:
                state = self._choices[index] = _Choice()
            if choice.delta is not None:
                self._delta(choice.delta, index, state, events)
            elif choice.message is not None:
                self._delta(choice.message, index, state, events, whole=True)
            elif choice.text:
                events.append(TextDelta(choice.text, index))
            if choice.finish_reason and not state.finished:
                self._finish(choice, choice.finish_reason, index, state, events)
        usage = chunk.usage or (chunk.x_groq and chunk.x_groq.get("usage"))
        if usage and (known := decode_usage(usage, chunk.service_tier)):
            events.append(UsageReport(known))
        return events

    def _delta(self, delta: Delta, at: int, state: _Choice, events: list[Event], whole: bool = False) -> None:
        if thought := delta.reasoning_content or delta.reasoning:
            events.append(ThinkingDelta(thought, at))
        content = delta.content
        if content:
            if isinstance(content, str):
                events.append(TextDelta(content, at))
            else:
                events.extend(_pieces(content, at))
        if delta.refusal:
            state.refused = True
            events.append(RefusalDelta(delta.refusal, at))
        if delta.tool_calls:
            for call in delta.tool_calls:
                self._call(call, at, state, events, whole)
        if delta.function_call:
            self._call(CallDelta(index=0, function=delta.function_call), at, state, events)
        if delta.audio is not None or delta.images is not None:
            events.extend(_media(delta, at))

    def _call(self, delta: CallDelta, at: int, state: _Choice, events: list[Event], whole: bool = False) -> None:
        call = self._new(delta, state) if whole else self._bind(delta, state)
        piece = delta.function or delta.custom
        name = piece.name if piece else None
        arguments = delta.custom.input if delta.custom else delta.function.arguments if delta.function else None
        if not isinstance(arguments, str):
            # Ollama and others give arguments as an object.
            arguments = dumps(arguments).decode() if arguments is not None else ""
        if not call.started:
            call.id = delta.id or call.id
            call.name = name or call.name
            call.custom = delta.custom is not None
            call.signature = signature_of(delta.extra_content)
            if call.name or arguments:
                call.started = True
                call.id = call.id or call_id(self._id, at, call.index)
                events.append(ToolStart(call.index, call.id, call.name, call.custom, call.signature, at))
        if arguments:
            events.append(ToolDelta(call.index, arguments, at))

    @staticmethod
    def _new(delta: CallDelta, state: _Choice) -> _Call:
        call = _Call(len(state.calls))
        state.calls.append(call)
        if delta.index is not None:
            state.by_key[delta.index] = call
        return call

    def _bind(self, delta: CallDelta, state: _Choice) -> _Call:
        """The call a delta belongs to: by index where the host sends one, else by id, else the last. A new id under an old index
        is a new call (hosts that number every call 0)."""
        named = bool(delta.function and delta.function.name)
        if delta.index is not None:
            known = state.by_key.get(delta.index)
            if known and known.started and named and delta.id and delta.id != known.id:
                known = None
        elif delta.id:
            known = next((call for call in state.calls if call.id == delta.id), None)
        else:
            known = state.calls[-1] if state.calls else None
            if known and known.started and named:
                known = None
        return known or self._new(delta, state)

    @staticmethod
    def _finish(choice: ChunkChoice, raw: str, at: int, state: _Choice, events: list[Event]) -> None:
        reason = _FINISH.get(raw.lower(), FinishReason.STOP)
        sequence = choice.stop_reason if isinstance(choice.stop_reason, str) else None
        if reason is FinishReason.STOP:
            # A forced tool call and a refusal both end with "stop" at OpenAI.
            if any(call.started for call in state.calls):
                reason = FinishReason.TOOL_CALLS
            elif state.refused:
                reason = FinishReason.REFUSAL
            elif sequence:
                reason = FinishReason.STOP_SEQUENCE
        state.finished = True
        events.append(Finish(reason, raw, sequence, at))


def _pieces(content: list[Any], at: int) -> Iterator[Event]:
    """Mistral's content lists: text, thinking (itself a list) and references."""
    for piece in content:
        match piece:
            case str() if piece:
                yield TextDelta(piece, at)
            case {"type": "thinking", "thinking": list(inner)}:
                for part in inner:
                    if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]:
                        yield ThinkingDelta(part["text"], at)
            case {"type": "thinking", "thinking": str(text)} if text:
                yield ThinkingDelta(text, at)
            case {"type": "refusal", "refusal": str(text)} if text:
                yield RefusalDelta(text, at)
            case {"text": str(text)} if text:
                yield TextDelta(text, at)


def _media(delta: Delta, at: int) -> Iterator[Event]:
    match delta.audio:
        case {"transcript": str(text)} if text:
            yield TextDelta(text, at)
    for image in delta.images if isinstance(delta.images, list) else ():
        match image:
            case {"image_url": {"url": str(url)}}:
                split = split_data_url(url)
                yield PartAdded(Image(media_type=split[0], data=split[1]) if split else Image(url=url), at)


def coerce(value: dict[str, Any]) -> Chunk:
    """A chunk out of an object whose fields have other types than OpenAI's."""
    created = value.get("created")
    usage, x_groq = value.get("usage"), value.get("x_groq")
    choices = value.get("choices")
    return Chunk(
        id=_text(value.get("id")),
        model=_text(value.get("model")),
        created=created if isinstance(created, int | float) else None,
        choices=[_coerce_choice(choice) for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else None,
        usage=usage if isinstance(usage, dict) else None,
        service_tier=_text(value.get("service_tier")),
        x_groq=x_groq if isinstance(x_groq, dict) else None,
        error=value.get("error"),
    )


def _coerce_choice(value: dict[str, Any]) -> ChunkChoice:
    index, delta, message = value.get("index"), value.get("delta"), value.get("message")
    return ChunkChoice(
        index=index if isinstance(index, int) else None,
        delta=_coerce_delta(delta) if isinstance(delta, dict) else None,
        message=_coerce_delta(message) if isinstance(message, dict) else None,
        text=_text(value.get("text")),
        finish_reason=_text(value.get("finish_reason")),
        stop_reason=_text(value.get("stop_reason")),
        error=value.get("error"),
    )


def _coerce_delta(value: dict[str, Any]) -> Delta:
    content, calls, legacy = value.get("content"), value.get("tool_calls"), value.get("function_call")
    return Delta(
        content=[content] if isinstance(content, dict) else content if isinstance(content, str | list) else None,
        reasoning_content=_text(value.get("reasoning_content")),
        reasoning=_text(value.get("reasoning")),
        refusal=_text(value.get("refusal")),
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
    return value if isinstance(value, str) else None
