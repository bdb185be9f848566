"""A provider's stream: SSE frames of chunks, no end mark. The end is the end of file after a finish reason.

An error comes as a ``data:`` frame or as a bare JSON object between the frames, perhaps over several lines.
"""

from __future__ import annotations

import msgspec

from llm_gateway.core import json
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.events import Event, Failed, Frame
from llm_gateway.core.sse import EventTooLarge, SseDecoder, SseFrame

from . import errors
from .response_in import Reader

# A chunk can hold a whole generated image as base64.
_MAX_EVENT_BYTES = 8 << 20


class Decoder:
    """After an error frames pass without a meaning, and the end is no ``Done``."""

    __slots__ = ("_failed", "_reader", "_sse")

    def __init__(self) -> None:
        self._sse = SseDecoder(_MAX_EVENT_BYTES)
        self._reader = Reader()
        self._failed = False

    def feed(self, chunk: bytes) -> list[Frame]:
        try:
            frames = self._sse.feed(chunk)
        except EventTooLarge as error:
            raise AttemptFailed(Failure(kind=FailureClass.EVENT_TOO_LARGE, message=str(error))) from None
        return [Frame(frame.raw, tuple(self._events(frame))) for frame in frames]

    def close(self) -> list[Frame]:
        frames = [Frame(frame.raw, tuple(self._events(frame))) for frame in self._sse.close()]
        if not self._failed and (last := self._reader.end()):
            frames.append(Frame(b"", tuple(last)))
        return frames

    def _events(self, frame: SseFrame) -> list[Event]:
        if self._failed:
            return []
        events = self._read(frame)
        self._failed = bool(events) and isinstance(events[-1], Failed)
        return events

    def _read(self, frame: SseFrame) -> list[Event]:
        if frame.data is None:
            document = json.lenient(frame.stray) if frame.stray else None
            if isinstance(document, list) and document:
                document = document[0]
            if isinstance(document, dict) and document.get("error"):
                return [Failed(errors.from_object(document["error"]))]
            return []
        if frame.data == b"[DONE]":  # no mark of this format, but of hosts that speak several
            return []
        try:
            return self._reader.read(frame.data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return [Failed(Failure(kind=FailureClass.BAD_EVENT, message="a chunk cannot be read"))]
