"""A provider's stream: SSE frames of chunks, no end mark. The end is the end of file after a finish
reason.

An error comes as a ``data:`` frame or as a bare JSON object between the frames, perhaps over
several lines.
"""

from __future__ import annotations

import msgspec

from llm_gateway.core import json
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass
from llm_gateway.core.events import Event, Failed, Frame
from llm_gateway.core.sse import EventTooLarge, SseDecoder, SseFrame
from llm_gateway.wires._alive import is_alive

from . import errors
from .array_in import ArrayDecoder, Item, TooLarge
from .response_in import Reader

# A chunk can hold a whole generated image as base64.
_MAX_EVENT_BYTES = 8 << 20
_BOM = b"\xef\xbb\xbf"


class Decoder:
    """After an error frames pass without a meaning, and the end is no ``Done``. What begins with
    ``[`` is the array form."""

    __slots__ = ("_failed", "_head", "_reader", "_split")

    def __init__(self) -> None:
        self._split: SseDecoder | ArrayDecoder | None = None
        self._head = b""
        self._reader = Reader()
        self._failed = False

    def feed(self, chunk: bytes) -> list[Frame]:
        if self._split is None:
            self._head += chunk
            head = self._head.removeprefix(_BOM).lstrip()
            if not head or _BOM.startswith(self._head):
                return []
            array = head.startswith(b"[")
            self._split = ArrayDecoder(_MAX_EVENT_BYTES) if array else SseDecoder(_MAX_EVENT_BYTES)
            chunk = self._head
        try:
            return [self._frame(piece) for piece in self._split.feed(chunk)]
        except (EventTooLarge, TooLarge) as error:
            raise AttemptFailed(Failure(kind=FailureClass.EVENT_TOO_LARGE, message=str(error))) from None

    def close(self) -> list[Frame]:
        frames = [self._frame(piece) for piece in self._split.close()] if self._split else []
        if self._split is None and self._head:
            frames.append(Frame(self._head))
        if not self._failed and (last := self._reader.end()):
            frames.append(Frame(b"", tuple(last)))
        return frames

    def _frame(self, piece: SseFrame | Item) -> Frame:
        if self._failed:
            return Frame(piece.raw)
        if isinstance(piece, SseFrame) and piece.data and piece.data[:1] != b"{" and is_alive(piece.data):
            return Frame(piece.raw, mended=b"" if piece.data.strip() else None)
        events = self._read(piece.data, piece.stray if isinstance(piece, SseFrame) else None)
        self._failed = bool(events) and isinstance(events[-1], Failed)
        return Frame(piece.raw, tuple(events))

    def _read(self, data: bytes | None, stray: bytes | None) -> list[Event]:
        if data is None:
            return _error_in(stray)
        if data.strip() in (b"", b"[DONE]"):  # no mark of this format, but of hosts that speak several
            return []
        try:
            return self._reader.read(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return _error_in(data) or [Failed(Failure(kind=FailureClass.BAD_EVENT, message="a chunk cannot be read"))]


def _error_in(text: bytes | None) -> list[Event]:
    document = json.lenient(text) if text else None
    if isinstance(document, list) and document:
        document = document[0]
    if isinstance(document, dict) and document.get("error"):
        return [Failed(errors.from_object(document["error"]))]
    return []
