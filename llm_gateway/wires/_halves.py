"""Text that a host cut inside a character: half of a surrogate pair as an escape, or some bytes of a UTF-8 sequence.

Hosts stream tokens, and a token can end in the middle of an emoji. The halves meet again in the next piece of the same text; a half
that stays alone becomes U+FFFD.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

# A first half at the very end: of a surrogate pair, or up to three bytes that were no UTF-8 (surrogateescape writes them U+DC80 to U+DCFF).
_OPEN = re.compile("(?:[\ud800-\udbff]|[\udcc2-\udcf4][\udc80-\udcbf]{0,2})$")


def loads(data: bytes) -> Any:
    """Decode JSON and keep halves as lone surrogates. ``None``: it is not JSON."""
    try:
        return json.loads(data.decode("utf-8-sig", "surrogateescape"))
    except (ValueError, RecursionError):
        return None


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


class Halves:
    """Joins the pieces of several texts, each known by a key of the caller's choice."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[Any, str] = {}

    def join(self, key: Any, piece: str) -> str:
        """What can be told of the text now; an open half waits for the next piece."""
        if self.held:
            piece = self.held.pop(key, "") + piece
        if piece and piece[-1] >= "\ud800" and piece[-1] <= "\udfff" and (found := _OPEN.search(piece)):
            self.held[key] = found[0]
            piece = piece[: found.start()]
        return whole(piece)
