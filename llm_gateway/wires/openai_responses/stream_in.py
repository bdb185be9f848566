"""A provider's Responses answer: whole, or its stream of typed events."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.chat import ChatResponse
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.events import Done, Event, Failed, Frame, collect
from llm_gateway.core.redact import redact
from llm_gateway.core.sse import EventTooLarge, SseDecoder, SseFrame, encode_event
from llm_gateway.wires import _mending
from llm_gateway.wires._alive import is_alive
from llm_gateway.wires._halves import Halves
from llm_gateway.wires._openai.errors import error_in_200

from .response_in import Reader, text_of


class StreamEvent(msgspec.Struct, gc=False):
    """Every event's fields in one; ``item`` and ``response`` are decoded where they matter."""

    type: str = ""
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: Any = None
    input: str | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item: dict[str, Any] | None = None
    part: dict[str, Any] | None = None
    response: msgspec.Raw = msgspec.Raw()
    error: Any = None
    message: str | None = None

    @property
    def key(self) -> Any:
        """What binds an item's events."""
        if self.output_index is not None:
            return self.output_index
        return self.item_id if self.item_id is not None or self.item is None else self.item.get("id")

    @property
    def at(self) -> int:
        return self.content_index or 0


_event = msgspec.json.Decoder(StreamEvent)
_SPARE = frozenset({"item_id", "output_index", "content_index", "summary_index", "message", "text", "refusal", "input", "part"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.done"})


def decode_response(body: bytes) -> ChatResponse:
    answer = json.lenient(body)
    if not isinstance(answer, dict):
        raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message=redact(body[:500].decode("utf-8", "replace"))))
    if answer.get("error") or answer.get("status") in ("failed", "cancelled") or not isinstance(answer.get("output"), list):
        if any(answer.get(name) for name in ("error", "detail", "message", "status")):
            raise AttemptFailed(_failure(answer))
        raise AttemptFailed(Failure(kind=FailureClass.BAD_JSON, message="the answer has no output"))
    reader = Reader()
    return collect([*reader.start(answer), *reader.finish(answer)])


def _failure(answer: dict[str, Any]) -> Failure:
    if answer.get("error") or answer.get("detail") or answer.get("message"):
        return error_in_200(answer)
    return error_in_200({"message": f"the response is {answer.get('status')}"})


_Handler = Callable[[Reader, StreamEvent], list[Event]]
_CALL, _CUSTOM = "function_call", "custom_tool_call"
_CONTENT: dict[str, _Handler] = {
    "response.output_text.delta": lambda reader, e: reader.text(e.key, e.at, e.delta or ""),
    "response.output_text.done": lambda reader, e: reader.text_done(e.key, e.at, e.text or ""),
    "response.refusal.delta": lambda reader, e: reader.refusal(e.key, e.at, e.delta or ""),
    "response.refusal.done": lambda reader, e: reader.refusal_done(e.key, e.at, e.refusal or ""),
    "response.reasoning_summary_text.delta": lambda reader, e: reader.thought(e.key, e.summary_index or 0, e.delta or "", "summary"),
    "response.reasoning_summary_text.done": lambda reader, e: reader.thought_done(e.key, e.summary_index or 0, e.text or "", "summary"),
    "response.reasoning_text.delta": lambda reader, e: reader.thought(e.key, e.at, e.delta or "", "content"),
    "response.reasoning_text.done": lambda reader, e: reader.thought_done(e.key, e.at, e.text or "", "content"),
    "response.function_call_arguments.delta": lambda reader, e: reader.arguments(e.key, e.delta or "", _CALL),
    "response.function_call_arguments.done": lambda reader, e: reader.arguments_done(e.key, text_of(e.arguments), _CALL),
    "response.custom_tool_call_input.delta": lambda reader, e: reader.arguments(e.key, e.delta or "", _CUSTOM),
    "response.custom_tool_call_input.done": lambda reader, e: reader.arguments_done(e.key, e.input or "", _CUSTOM),
    "response.content_part.done": lambda reader, e: _part_done(reader, e, e.part or {}),
    "response.reasoning_summary_part.done": lambda reader, e: _part_done(reader, e, e.part or {}),
    "response.output_item.added": lambda reader, e: reader.added(e.key, e.item or {}),
    "response.output_item.done": lambda reader, e: reader.done(e.key, e.item or {}),
}
# Names of the same events at hosts that follow the Open Responses specification.
_CONTENT |= {
    "response.reasoning.delta": _CONTENT["response.reasoning_text.delta"],
    "response.reasoning.done": _CONTENT["response.reasoning_text.done"],
}


def _part_done(reader: Reader, event: StreamEvent, part: dict[str, Any]) -> list[Event]:
    match part:
        case {"type": "output_text", "text": str(text)}:
            return reader.text_done(event.key, event.at, text)
        case {"type": "refusal", "refusal": str(text)}:
            return reader.refusal_done(event.key, event.at, text)
        case {"type": "summary_text", "text": str(text)}:
            return reader.thought_done(event.key, event.summary_index or 0, text, "summary")
        case {"type": "reasoning_text", "text": str(text)}:
            return reader.thought_done(event.key, event.at, text, "content")
        case _:
            return []


class ResponsesStreamDecoder:
    """Frames of a Responses stream. It ends with its last event, or with ``[DONE]`` where every
    item has said that it is complete.

    The end of the connection alone proves nothing: another item could have followed.
    """

    __slots__ = ("_begun", "_ended", "_halves", "_mend", "_pending", "_reader", "_sse")

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._reader = Reader()
        self._halves = Halves()
        self._mend = self._halves.reader(frozenset({"delta"}))
        self._ended = False
        # The response as the stream's first event had it.
        self._begun: dict[str, Any] = {}
        self._pending: AttemptFailed | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        if self._pending:
            raise self._pending
        frames: list[Frame] = []
        try:
            frames.extend(map(self._frame, self._sse.feed(chunk)))
        except EventTooLarge as error:
            self._hold(AttemptFailed(Failure(kind=FailureClass.EVENT_TOO_LARGE, message=str(error))), frames)
        except AttemptFailed as error:
            self._hold(error, frames)
        return frames

    def close(self) -> list[Frame]:
        if self._pending:
            raise self._pending
        frames: list[Frame] = []
        for frame in self._sse.close():
            try:
                frames.append(self._frame(frame))
            except AttemptFailed:
                # The connection ended inside an event: truncation is told by the missing Done.
                frames.append(Frame(frame.raw))
        return frames

    def _hold(self, error: AttemptFailed, frames: list[Frame]) -> None:
        """What arrived before the fault still counts: it goes out first, the fault with the next
        call."""
        if not frames:
            raise error
        self._pending = error

    def _frame(self, frame: SseFrame) -> Frame:
        data = frame.data
        if self._ended or (data is None and not frame.stray):
            return Frame(frame.raw)
        if data is None:
            return self._stray(frame)
        try:
            event = _mending.decode(data, _event, _SPARE, self._mend)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return self._odd(frame, data)
        kind = event.type or frame.event or ""
        handler = _CONTENT.get(kind)
        if handler:
            if event.delta and (self._halves.held or not event.delta.isascii()):
                event.delta = self._halves.join((kind, event.key, event.at, event.summary_index), event.delta)
            return Frame(frame.raw, tuple(handler(self._reader, event)))
        return self._other(frame, data, kind, event)

    def _other(self, frame: SseFrame, data: bytes, kind: str, event: StreamEvent) -> Frame:
        if kind in ("response.created", "response.in_progress", "response.queued") and not self._reader.started:
            self._begun = _object(event.response)
            return Frame(frame.raw, tuple(self._reader.start(self._begun)))
        if kind in _ENDS:
            return self._finished(frame, data, kind, _object(event.response))
        if kind in ("response.failed", "response.cancelled"):
            return self._failed(frame, _failure(_object(event.response)))
        if kind == "error" or (not kind and (event.error is not None or event.message)):
            # Newer streams nest the error, older ones have its fields beside the type.
            value = json.lenient(data)
            fields = {name: item for name, item in value.items() if name != "type" or item != "error"} if isinstance(value, dict) else data
            return self._failed(frame, error_in_200(fields if isinstance(fields, dict) else data.decode("utf-8", "replace")))
        return Frame(frame.raw)

    def _finished(self, frame: SseFrame, data: bytes, kind: str, response: dict[str, Any]) -> Frame:
        self._ended = True
        events = [*self._reader.start(response), *self._reader.finish(response, kind == "response.incomplete"), Done()]
        mended: bytes | None = None
        if (output := self._reader.completed(response)) is not None:
            # Clients read the answer from the final response; a host that leaves out there what it
            # streamed breaks its own format.
            with suppress(json.InvalidJson):  # what is no strict JSON stays as it came
                mended = encode_event(json.edit_object(data, {"response": response | {"output": output}}), kind)
        return Frame(frame.raw, tuple(events), mended=mended)

    def _made_up(self, raw: bytes) -> Frame:
        """The end that a host left out."""
        kind = "response.completed"
        response = {**self._begun, "object": "response", "status": "completed", "output": []}
        end = self._finished(SseFrame(raw), json.dumps({"type": kind, "response": response}), kind, response)
        return Frame(raw, end.events, mended=(end.mended or b"") + raw)

    def _odd(self, frame: SseFrame, data: bytes) -> Frame:
        """No event we can read: other JSON of an event nobody needs is skipped, anything else
        breaks the stream."""
        value = json.lenient(data)
        if data.strip() in (b"", b"[DONE]"):
            return self._made_up(frame.raw) if data.strip() and self._reader.complete else Frame(frame.raw)
        if isinstance(value, dict):
            kind = value.get("type") or frame.event
            if kind == "error":
                return self._failed(frame, error_in_200(value))
            if not isinstance(kind, str) or (kind not in _CONTENT and kind not in _ENDS):
                return Frame(frame.raw)
        elif is_alive(data):
            return Frame(frame.raw, mended=b"")
        raise AttemptFailed(Failure(kind=FailureClass.BAD_EVENT, message=redact(data[:200].decode("utf-8", "replace"))))

    def _stray(self, frame: SseFrame) -> Frame:
        """A bare JSON error instead of events."""
        value = json.lenient(frame.stray or b"")
        if isinstance(value, dict) and value.get("error"):
            return self._failed(frame, error_in_200(value))
        return Frame(frame.raw)

    def _failed(self, frame: SseFrame, failure: Failure) -> Frame:
        self._ended = True
        return Frame(frame.raw, (Failed(failure),))


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    value = json.lenient(bytes(raw))
    return value if isinstance(value, dict) else {}
