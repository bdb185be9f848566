"""Server-sent events on bytes.

Lines end at LF, CRLF or CR and nowhere else: U+2028 and U+0085 belong to the text (reliability.md T9). Every frame keeps its
own bytes, so that a relay can forward exactly what arrived.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

MAX_EVENT_BYTES: Final = 1 << 20
_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n|\r\n\r(?=[^\n])|\n\r(?=[^\n])")
_LINE = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event passed :data:`MAX_EVENT_BYTES` without ending."""


class SseFrame(msgspec.Struct, frozen=True):
    """One event as it arrived. ``data`` is ``None`` for comments and empty frames; ``stray`` holds lines that are no SSE field
    (Gemini puts a bare JSON error there)."""

    raw: bytes
    event: str | None = None
    data: bytes | None = None
    stray: bytes | None = None


class SseDecoder:
    """Bytes in, whole frames out, whatever the split. Raises :class:`EventTooLarge`."""

    __slots__ = ("_buffer", "_first", "_limit")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._buffer = b""
        self._first = True
        self._limit = limit

    def feed(self, chunk: bytes) -> list[SseFrame]:
        buffer = self._buffer + chunk if self._buffer else chunk
        frames: list[SseFrame] = []
        start = 0
        for match in _BOUNDARY.finditer(buffer):
            end = match.end()
            # A CR at the very end may be the first half of CRLF: wait for the next byte.
            if end == len(buffer) and buffer[end - 1] == 13:
                break
            if match.start() < start:
                continue
            frames.append(self._frame(buffer[start:end]))
            start = end
        self._buffer = buffer[start:]
        if len(self._buffer) > self._limit or any(len(frame.raw) > self._limit for frame in frames):
            raise EventTooLarge(f"an event is larger than {self._limit} bytes")
        return frames

    def close(self) -> list[SseFrame]:
        """The stream ended: what is left counts as a frame (many hosts omit the last blank line)."""
        rest, self._buffer = self._buffer, b""
        return [self._frame(rest)] if rest.strip() else []

    def _frame(self, raw: bytes) -> SseFrame:
        text = raw
        if self._first:
            self._first = False
            text = raw.removeprefix(_BOM)
        if text.startswith(b"data: ") and text.count(b"\n") <= 2 and b"\r" not in text:
            line, _, rest = text.partition(b"\n")
            if rest in (b"\n", b""):
                return SseFrame(raw, None, line[6:])
        return self._slow_frame(raw, text)

    @staticmethod
    def _slow_frame(raw: bytes, text: bytes) -> SseFrame:
        event: str | None = None
        data: list[bytes] = []
        stray: list[bytes] = []
        for line in _LINE.split(text):
            if not line or line.startswith(b":"):
                continue
            name, colon, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value.decode("utf-8", "replace")
            elif name not in (b"id", b"retry") or not colon:
                stray.append(line)
        return SseFrame(raw, event, b"\n".join(data) if data else None, b"\n".join(stray) if stray else None)


def encode_event(data: bytes, event: str | None = None) -> bytes:
    """One frame of single-line ``data``."""
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n" if event else b"data: " + data + b"\n\n"


HEARTBEAT: Final = b": keep-alive\n\n"
