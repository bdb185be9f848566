"""A provider's answer, whole or streamed, as events: one reader serves both, so that both mean the
same."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatResponse, Opaque
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.events import (
    Done,
    Event,
    Failed,
    Finish,
    PartAdded,
    RefusalDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    ThinkingMark,
    ToolDelta,
    ToolStart,
    UsageReport,
    collect,
)
from llm_gateway.wires import _mending
from llm_gateway.wires._arguments import Pieces

from . import errors
from .names import NAME, finish_of
from .signatures import unpack
from .usage import Tally, UsageIn

_NOTHING = msgspec.Raw(b"null")
# What an answer is whole without.
SPARE = frozenset(("id", "model", "index", "signature", "stop_sequence", "usage"))
_OWN = frozenset(("text", "thinking", "redacted_thinking", "tool_use"))


class Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = _NOTHING


class Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Any = None


class Message(msgspec.Struct):
    type: str = ""
    id: str | None = None
    model: str | None = None
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Any = None
    usage: UsageIn | None = None
    error: Any = None


class StreamEvent(msgspec.Struct):
    type: str = ""
    index: int = 0
    delta: Delta | None = None
    content_block: msgspec.Raw = _NOTHING
    message: Message | None = None
    usage: UsageIn | None = None
    error: Any = None


_message = msgspec.json.Decoder(Message)
_block = msgspec.json.Decoder(Block)
_object = msgspec.json.Decoder(dict[str, Any])


class _Open:
    """A block between its start and its stop. ``call`` is the tool call's index; ``raw`` a
    provider-side tool's block."""

    __slots__ = ("arguments", "call", "input", "pieces", "raw", "signature", "type")

    def __init__(self, block: Block) -> None:
        self.type = block.type
        self.signature = block.signature or ""
        self.input = bytes(block.input)
        self.call = 0
        self.raw: dict[str, Any] = {}
        self.pieces: list[str] = []
        self.arguments = Pieces()


class Reader:
    """Turns the format's events into neutral ones. Raises :class:`msgspec.DecodeError` for a block
    of the wrong shape."""

    __slots__ = ("_calls", "_finished", "_id", "_open", "_tally")

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._tally = Tally()
        self._calls = 0
        self._finished = False
        self._id = ""

    def read(self, event: StreamEvent) -> tuple[Event, ...]:
        match event.type:
            case "content_block_delta":
                return self.delta(event.index, event.delta) if event.delta else ()
            case "content_block_start":
                return self.begin(event.index, event.content_block)
            case "content_block_stop":
                return self.end(event.index)
            case "message_start":
                return self.start(event.message or Message())
            case "message_delta":
                return (*self._end_all(), *self.finish(event.delta or Delta()), *self.usage(event.usage))
            case "message_stop":
                return (*self._end_all(), *self.unfinished(), Done())
            case "error":
                return (Failed(errors.from_object(event.error)),)
        return (Failed(errors.from_object(event.error)),) if event.error and not event.type else ()

    def start(self, message: Message) -> tuple[Event, ...]:
        self._id = message.id or ""
        return (Start(self._id, message.model or ""), *self.usage(message.usage))

    def usage(self, block: UsageIn | None) -> tuple[Event, ...]:
        return (UsageReport(self._tally.add(block)),) if block else ()

    def begin(self, index: int, raw: msgspec.Raw) -> tuple[Event, ...]:
        block = _mending.decode(raw, _block, SPARE)
        at = self._open[index] = _Open(block)
        match block.type:
            case "text":
                return (TextDelta(block.text),) if block.text else ()
            case "thinking":
                return (ThinkingDelta(block.thinking),) if block.thinking else ()
            case "redacted_thinking":
                data, wire, item, issuer = unpack(block.data or "")
                return (ThinkingMark(redacted=data, wire=wire, id=item, issuer=issuer),)
            case "tool_use":
                at.call, self._calls = self._calls, self._calls + 1
                # Compatible hosts leave the id out; the caller needs one to answer the call.
                return (ToolStart(at.call, block.id or f"toolu_{self._id}_{at.call}", block.name or ""),)
        at.raw = _object.decode(raw)
        return ()

    def delta(self, index: int, delta: Delta) -> tuple[Event, ...]:
        match delta.type:
            case "text_delta":
                return (TextDelta(delta.text),) if delta.text else ()
            case "thinking_delta":
                return (ThinkingDelta(delta.thinking),) if delta.thinking else ()
        at = self._open.get(index)
        if at is None:
            return ()
        if delta.type == "signature_delta":
            at.signature += delta.signature or ""
        elif delta.type == "input_json_delta" and delta.partial_json:
            if at.type != "tool_use":
                at.pieces.append(delta.partial_json)
            elif told := at.arguments.fed(delta.partial_json):
                return (ToolDelta(at.call, told),)
        return ()

    def end(self, index: int) -> tuple[Event, ...]:
        at = self._open.pop(index, None)
        if at is None:
            return ()
        if at.type == "thinking":
            if not at.signature:
                return ()
            token, wire, item, issuer = unpack(at.signature)
            return (ThinkingMark(signature=token, wire=wire, id=item, issuer=issuer),) if token or wire or item else ()
        if at.type == "tool_use":
            rest = at.arguments.rest() if at.arguments.begun else _arguments(at.input)
            return (ToolDelta(at.call, rest),) if rest else ()
        if at.type not in _OWN:
            if at.pieces:
                at.raw["input"] = json.lenient("".join(at.pieces).encode())
            return (PartAdded(Opaque(wire=NAME, raw=at.raw)),)
        return ()

    def _end_all(self) -> tuple[Event, ...]:
        return tuple(event for index in sorted(self._open) for event in self.end(index))

    def finish(self, last: Delta | Message) -> tuple[Event, ...]:
        if not last.stop_reason:
            return ()
        self._finished = True
        finish = Finish(finish_of(last.stop_reason, self._calls), last.stop_reason, last.stop_sequence)
        why = last.stop_details.get("explanation") if isinstance(last.stop_details, dict) else None
        return (RefusalDelta(why), finish) if isinstance(why, str) and why else (finish,)

    def unfinished(self) -> tuple[Event, ...]:
        """The finish of an answer that its host ended without a word for it."""
        return () if self._finished else (Finish(finish_of("end_turn", self._calls)),)


def _arguments(raw: bytes) -> str:
    """A call's input where no deltas told it; some hosts give it as text."""
    whole = msgspec.json.format(raw, indent=-1).decode()
    value = json.lenient(raw) if whole[:1] == '"' else None
    if isinstance(value, str):
        whole = value
    return "{}" if whole in ("null", "") else whole


def decode(body: bytes) -> ChatResponse:
    """A whole answer. Raises :class:`AttemptFailed`."""
    try:
        message = _mending.decode(body, _message, SPARE)
        if message.error or message.type == "error":
            raise AttemptFailed(errors.from_object(message.error))
        if message.content is None:
            raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message="the answer has no content"))
        reader = Reader()
        events: list[Event] = [*reader.start(message)]
        for index, raw in enumerate(message.content):
            events += reader.begin(index, raw)
            events += reader.end(index)
        events += reader.finish(message) or reader.unfinished()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message="the answer is not a message")) from None
    return collect(events)
