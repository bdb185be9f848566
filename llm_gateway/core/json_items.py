"""Yields the elements of one array of a JSON document while it arrives, and keeps what surrounds
the array.

It reads structure only: the caller decodes each element and the rest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import msgspec

# A whole string, or a bracket; nothing else affects the structure.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_KEY_ENDS = re.compile(rb"\s*:\s*")
_SPACE = re.compile(rb"\s*")


class NotItems(ValueError):
    """The message is for the caller."""


class Items:
    """``names``: the first array of objects under one of these keys is taken apart. ``most``: bytes
    of one element, and of all that is around them. ``rest`` once it is complete: the document with
    that array empty."""

    def __init__(self, names: Collection[bytes], most: int) -> None:
        self._names = frozenset(b'"' + name + b'"' for name in names)
        self._most = most
        self._buffer = b""
        self._at = 0
        self._looked_at = 0
        self._depth = 0
        self._array: int | None = None
        self._found = False
        self._start: int | None = None
        self._key = b""
        self._rest: list[bytes] = []
        self._kept = 0
        self.count = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises :class:`NotItems`."""
        self._buffer += data
        # A string that is longer than what came so far is looked for again only when twice as much
        # is there.
        if self._looked_at and len(self._buffer) - self._at < 2 * self._looked_at:
            return
        yield from self._scan()

    def close(self) -> Iterator[bytes]:
        yield from self._scan()
        if self._depth != 0 or not self._found:
            raise NotItems("The body ends in the middle, or the list of requests is missing.")
        self._rest.append(self._buffer[self._kept :])

    @property
    def rest(self) -> bytes:
        return b"".join(self._rest)

    def _scan(self) -> Iterator[bytes]:
        for token in _TOKEN.finditer(self._buffer, self._at):
            first, end = token[0][:1], token.end()
            if self._cut_string(token.start()):
                break
            if first == b'"':
                if self._start is None and self._array is None and not self._found:
                    if _SPACE.fullmatch(self._buffer, end):
                        break  # whether it is a key, the next bytes tell
                    if _KEY_ENDS.match(self._buffer, end):
                        self._key = token[0]
                self._at = end
                continue
            self._at = end
            if first in b"{[":
                self._open(first, token.start(), end)
            else:
                element = self._close(first, token.start(), end)
                if element is not None:
                    yield element
        self._forget()

    def _cut_string(self, start: int) -> bool:
        """Whether a string begins before ``start`` whose end has not come: then what follows is its
        inside."""
        return self._buffer.find(b'"', self._at, start) >= 0

    def _open(self, bracket: bytes, start: int, end: int) -> None:
        self._depth += 1
        if self._depth > 200:
            raise NotItems("The body is nested too deeply.")
        if self._array is None and not self._found and bracket == b"[" and self._key in self._names:
            self._array, self._found = self._depth, True
            self._rest.append(self._buffer[self._kept : end])
            self._kept = end
        elif self._array is not None and self._depth == self._array + 1:
            if bracket != b"{":
                raise NotItems("Each request has to be an object.")
            self._start = start

    def _close(self, bracket: bytes, start: int, end: int) -> bytes | None:
        self._depth -= 1
        if self._depth < 0:
            raise NotItems("The body is no JSON object.")
        if self._array is None:
            return None
        if self._start is not None and self._depth == self._array:
            element = self._buffer[self._start : end]
            self._start = None
            self._kept = end
            self.count += 1
            return element
        if self._depth == self._array - 1:
            self._array = None
            self._kept = start
        return None

    def _forget(self) -> None:
        done = self._start if self._start is not None else self._kept if self._array is None else self._at
        if self._array is not None and self._start is None:
            self._kept = self._at
        if len(self._buffer) - done > self._most:
            raise NotItems(f"A request, or what stands around the requests, is larger than {self._most >> 20} MB.")
        self._buffer = self._buffer[done:]
        self._at -= done
        self._kept = max(0, self._kept - done)
        if self._start is not None:
            self._start = 0
        self._looked_at = len(self._buffer) - self._at if len(self._buffer) > self._at else 0


def one_line(element: bytes) -> bytes:
    """Without line ends; a NotItems where it is no JSON."""
    try:
        return msgspec.json.format(element, indent=-1) if b"\n" in element or b"\r" in element else element
    except (msgspec.DecodeError, RecursionError):
        raise NotItems("A request is no JSON object.") from None
