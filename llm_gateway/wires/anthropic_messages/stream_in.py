"""A provider's stream. https://docs.claude.com/en/api/messages-streaming"""

from __future__ import annotations

import msgspec

from llm_gateway.core import json
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.events import Done, Event, Failed, Frame
from llm_gateway.core.sse import EventTooLarge, SseDecoder, SseFrame
from llm_gateway.wires import _mending
from llm_gateway.wires._alive import is_alive
from llm_gateway.wires._halves import Halves, whole

from . import errors
from .response_in import SPARE, Delta, Reader, StreamEvent

_event = msgspec.json.Decoder(StreamEvent)
# The text of each kind of delta that goes on in the next.
_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_KNOWN = frozenset(
    (
        None,
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
    )
)


class Decoder:
    """Only ``message_stop`` gives ``Done``. After it, or after an error, frames pass without a
    meaning."""

    __slots__ = ("_ended", "_halves", "_mend", "_reader", "_sse")

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._reader = Reader()
        self._halves = Halves()
        self._mend = self._halves.reader(frozenset(_TEXTS.values()), closed="content_block")
        self._ended = False

    def feed(self, chunk: bytes) -> list[Frame]:
        try:
            frames = self._sse.feed(chunk)
        except EventTooLarge as error:
            raise AttemptFailed(Failure(kind=FailureClass.EVENT_TOO_LARGE, message=str(error))) from None
        return [self._frame(frame) for frame in frames]

    def close(self) -> list[Frame]:
        return [self._frame(frame) for frame in self._sse.close()]

    def _frame(self, frame: SseFrame) -> Frame:
        if self._ended:
            return Frame(frame.raw)
        events = self._read(frame)
        if events and isinstance(events[-1], Done | Failed):
            self._ended = True
        elif not events and frame.data and frame.data[:1] != b"{" and is_alive(frame.data):
            return Frame(frame.raw, mended=b"" if frame.data.strip() else None)
        return Frame(frame.raw, events)

    def _read(self, frame: SseFrame) -> tuple[Event, ...]:
        if frame.data is None:
            return _bare_error(frame.stray)
        if frame.data.strip() in (b"", b"[DONE]"):  # some compatible hosts add OpenAI's mark
            return ()
        try:
            event = _mending.decode(frame.data, _event, SPARE, self._mend)
            if not event.type and frame.event:
                event.type = frame.event
            return (*self._joined(event), *self._reader.read(event))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            if frame.event not in _KNOWN or is_alive(frame.data):
                return ()
            return (Failed(Failure(kind=FailureClass.BAD_EVENT, message=f"event {frame.event or 'without name'} cannot be read")),)

    def _joined(self, event: StreamEvent) -> tuple[Event, ...]:
        """Lets half a character wait for the other half; tells the one that stays alone when its
        block is over."""
        delta = event.delta
        if event.type == "content_block_delta" and delta and (name := _TEXTS.get(delta.type)):
            text = getattr(delta, name)
            if text and (self._halves.held or not text.isascii()):
                setattr(delta, name, self._halves.join((event.index, delta.type), text))
            return ()
        if not self._halves.held or event.type not in ("content_block_stop", "message_delta", "message_stop"):
            return ()
        told: tuple[Event, ...] = ()
        for (index, kind), half in list(self._halves.held.items()):
            if index == event.index or event.type != "content_block_stop":
                del self._halves.held[index, kind]
                told += self._reader.delta(index, Delta(type=kind, **{_TEXTS[kind]: whole(half)}))
        return told


def _bare_error(stray: bytes | None) -> tuple[Event, ...]:
    """A gateway in between may answer a stream with a JSON error and no SSE field at all."""
    document = json.lenient(stray) if stray else None
    if isinstance(document, dict) and document.get("error"):
        return (Failed(errors.from_object(document["error"])),)
    return ()
