"""Text that a host cut inside a character: half of a surrogate pair as an escape, or some bytes of
a UTF-8 sequence.

Hosts stream tokens, and a token can end in the middle of an emoji. The halves meet again in the
next piece of the same text; a half that stays alone becomes U+FFFD.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# A first half at the very end: of a surrogate pair, or up to three bytes that were no UTF-8
# (surrogateescape writes them U+DC80 to U+DCFF).
_OPEN = re.compile("(?:[\ud800-\udbff]|[\udcc2-\udcf4][\udc80-\udcbf]{0,2})$")

# Halves on their way through a typed decoder: private characters of the last plane.
_MARK = {half: 0x100000 + half for half in range(0xD800, 0xE000)}
_UNMARK = {mark: half for half, mark in _MARK.items()}


def loads(data: bytes) -> Any:
    """Decode JSON and keep halves as lone surrogates. ``None``: it is not JSON."""
    try:
        return json.loads(data.decode("utf-8-sig", "surrogateescape"))
    except (ValueError, RecursionError):
        return None


def dumps(value: Any) -> bytes:
    """The JSON of what :func:`loads` decoded, with halves as the escapes that they were."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def whole(text: str) -> str:
    """``text`` with its halves joined where both are there, and U+FFFD where one is alone."""
    if text.isascii():
        return text
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        # Escaped bytes first: they may be the rest of a character that began in another piece.
        with suppress(UnicodeEncodeError):
            joined = joined.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _marked(value: Any, fields: frozenset[str], closed: str) -> Any:
    match value:
        case dict():
            inner = {name: frozenset() if name == closed else fields for name in value}
            return {
                whole(name): one.translate(_MARK) if name in inner[name] and isinstance(one, str) else _marked(one, inner[name], closed)
                for name, one in value.items()
            }
        case list():
            return [_marked(one, fields, closed) for one in value]
        case str():
            return whole(value)
    return value


class Halves:
    """Joins the pieces of several texts, each known by a key of the caller's choice."""

    __slots__ = ("_marked", "held")

    def __init__(self) -> None:
        self.held: dict[Any, str] = {}
        self._marked = False

    def reader(self, fields: frozenset[str], closed: str = "") -> Callable[[bytes], Any]:
        """What reads a chunk that a typed decoder refuses. Texts in ``fields`` go on in the next
        chunk, so their halves stay, marked as something that a typed decoder takes; :meth:`join`
        undoes that. ``closed``: the field below which every text is whole."""

        def read(data: bytes) -> Any:
            self._marked = True
            return _marked(loads(data), fields, closed)

        return read

    def join(self, key: Any, piece: str) -> str:
        """What can be told of the text now; an open half waits for the next piece."""
        if self._marked:
            piece = piece.translate(_UNMARK)
        if self.held:
            piece = self.held.pop(key, "") + piece
        if piece and piece[-1] >= "\ud800" and piece[-1] <= "\udfff" and (found := _OPEN.search(piece)):
            self.held[key] = found[0]
            piece = piece[: found.start()]
        return whole(piece)
