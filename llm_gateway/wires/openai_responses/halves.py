"""Characters that a host cut in two: half of a surrogate pair, or the first bytes of a UTF-8 sequence, at the end of a delta.

Hosts cut text at tokens, and an emoji is several. The first half waits for the next delta, so that a caller gets the character and not two
replacement marks.
"""

from __future__ import annotations

import re
from typing import Final

_DELTA: Final = rb'"delta"\s*:\s*"'
_STRING: Final = rb'(?:[^"\\]|\\.)*?'
# At the end of a delta: a high surrogate, or a lead byte with too few bytes after it.
_CUT: Final = re.compile(
    rb"(" + _DELTA + _STRING + rb")"
    rb'(\\u[dD][89abAB][0-9a-fA-F]{2}|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})"',
    re.DOTALL,
)
_BEGIN: Final = re.compile(rb"(" + _DELTA + rb")(\\u[dD][c-fC-F]|[\x80-\xbf])?")


class Halves:
    """Over the data of one stream's events, in order."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def __call__(self, data: bytes) -> bytes:
        if self._held and (begin := _BEGIN.search(data)):
            # Without its other half it can only be marked as broken.
            half = self._held if begin[2] else b"\\ufffd"
            data = data[: begin.end(1)] + half + data[begin.end(1) :]
            self._held = b""
        if (b"\\ud" in data or b"\\uD" in data or not _is_text(data)) and (cut := _CUT.search(data)):
            self._held = cut[2]
            data = data[: cut.start(2)] + data[cut.end(2) :]
        return data


def _is_text(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
