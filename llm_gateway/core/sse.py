"""Server-sent events on bytes.

Lines end at LF, CRLF or CR only; U+2028 and U+0085 are text (reliability.md T9). Every frame keeps
its bytes so that a relay forwards exactly what arrived.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

MAX_EVENT_BYTES: Final = 1 << 20
_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n|\r\n\r(?=[^\n])|\n\r(?=[^\n])")
_LINE = re.compile(rb"\r\n|\n|\r")
# One byte less than the longest boundary and its follower.
_SEAM = 3
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event passed :data:`MAX_EVENT_BYTES` without ending."""


class SseFrame(msgspec.Struct, frozen=True):
    """One event as it arrived. ``data`` is ``None`` for comments and empty frames; ``stray`` holds
    lines that are no SSE field (Gemini puts a bare JSON error there)."""

    raw: bytes
    event: str | None = None
    data: bytes | None = None
    stray: bytes | None = None


class SseDecoder:
    """Bytes in, whole frames out, whatever the split; joined, the frames' ``raw`` is what was fed.

    Raises :class:`EventTooLarge`, but only after the frames before the large event have been handed
    out.
    """

    __slots__ = ("_broken", "_first", "_held", "_limit", "_size", "_tail")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._tail = b""
        self._first = True
        self._broken = False
        self._limit = limit

    @property
    def waiting(self) -> bool:
        """Whether part of a frame has come."""
        return bool(self._held)

    def feed(self, chunk: bytes) -> list[SseFrame]:
        if self._broken:
            raise self._too_large()
        if self._held:
            # Only the seam can hold a new boundary, so an event that arrives byte by byte costs
            # linear time.
            seam = self._tail + chunk
            if not _BOUNDARY.search(seam):
                return self._hold(chunk, seam, [])
            self._held.append(chunk)
            buffer = b"".join(self._held)
            self._held.clear()
            self._size = 0
        else:
            buffer = chunk
        if b"\r" in buffer:
            return self._any_boundary(buffer)
        frames: list[SseFrame] = []
        start = 0
        while (at := buffer.find(b"\n\n", start)) >= 0:
            end = at + 2
            if end - start > self._limit:
                return self._break(frames)
            frames.append(self._frame(buffer[start:end]))
            start = end
        return self._hold(buffer[start:], buffer, frames) if start < len(buffer) else frames

    def _any_boundary(self, buffer: bytes) -> list[SseFrame]:
        frames: list[SseFrame] = []
        start = 0
        for match in _BOUNDARY.finditer(buffer):
            end = match.end()
            # A CR at the very end may be the first half of CRLF: wait for the next byte.
            if end == len(buffer) and buffer[end - 1] == 13:
                break
            if end - start > self._limit:
                return self._break(frames)
            frames.append(self._frame(buffer[start:end]))
            start = end
        return self._hold(buffer[start:], buffer, frames)

    def close(self) -> list[SseFrame]:
        """At the end of the stream the rest counts as a frame: many hosts omit the last blank
        line."""
        if self._broken:
            raise self._too_large()
        rest = b"".join(self._held)
        self._held.clear()
        return [self._frame(rest)] if rest else []

    def _hold(self, rest: bytes, seam: bytes, frames: list[SseFrame]) -> list[SseFrame]:
        if rest:
            self._held.append(rest)
            self._size += len(rest)
            self._tail = seam[-_SEAM:]
            if self._size > self._limit:
                return self._break(frames)
        return frames

    def _break(self, frames: list[SseFrame]) -> list[SseFrame]:
        self._broken = True
        self._held.clear()
        if not frames:
            raise self._too_large()
        return frames

    def _too_large(self) -> EventTooLarge:
        return EventTooLarge(f"an event is larger than {self._limit} bytes")

    def _frame(self, raw: bytes) -> SseFrame:
        if self._first:
            self._first = False
            if raw.startswith(_BOM):
                return self._slow_frame(raw, raw[3:])
        # The common frame: one data line, with or without an event name, then two LF.
        if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
            return SseFrame(raw, None, raw[6:-2])
        if raw.startswith(b"event: ") and b"\r" not in raw:
            line = raw.find(b"\n")
            if raw.startswith(b"data: ", line + 1) and raw.find(b"\n", line + 1) == len(raw) - 2:
                return SseFrame(raw, raw[7:line].decode("utf-8", "replace"), raw[line + 7 : -2])
        return self._slow_frame(raw, raw)

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
