"""The stream of a server that was not asked for SSE, or does not know it: one JSON array, item
after item."""

from __future__ import annotations

import re
from typing import NamedTuple

# Everything that can change the depth: a string goes by whole, an unfinished one waits for more
# bytes.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|["\[\]{}]', re.DOTALL)
_AROUND = b" \t\r\n,[]\xef\xbb\xbf"


class TooLarge(ValueError):
    """An item passed the limit without ending."""


class Item(NamedTuple):
    """``raw``: the bytes as they came, with what stood before the item; ``data``: the item, or
    nothing at the end of the array."""

    raw: bytes
    data: bytes | None


class ArrayDecoder:
    """Bytes in, whole items out, whatever the split. Raises :class:`TooLarge`."""

    __slots__ = ("_buffer", "_depth", "_limit", "_scanned")

    def __init__(self, limit: int) -> None:
        self._buffer = b""
        self._scanned = 0
        self._depth = 0
        self._limit = limit

    def feed(self, chunk: bytes) -> list[Item]:
        self._buffer += chunk
        items: list[Item] = []
        start = 0
        for match in _TOKEN.finditer(self._buffer, self._scanned):
            token = match[0]
            if token == b'"':
                self._scanned = match.start()
                break
            self._scanned = match.end()
            if token in (b"{", b"["):
                self._depth += 1
            elif token in (b"}", b"]"):
                self._depth -= 1
                if self._depth == 1:
                    raw = self._buffer[start : self._scanned]
                    items.append(Item(raw, raw.lstrip(_AROUND)))
                    start = self._scanned
        self._buffer, self._scanned = self._buffer[start:], self._scanned - start
        if len(self._buffer) > self._limit:
            raise TooLarge(f"an item is larger than {self._limit} bytes")
        return items

    def close(self) -> list[Item]:
        rest, self._buffer = self._buffer, b""
        return [Item(rest, rest.strip(_AROUND) or None)] if rest else []
