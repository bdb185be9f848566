"""Bounded decompression for hosts that compress although asked not to."""

from __future__ import annotations

import zlib

from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass

MAX_RESPONSE_BYTES = 64 << 20
READ_BYTES = 1 << 16

_K = FailureClass


class Inflater:
    """A small body must not become gigabytes (reliability.md T8)."""

    MAX_RATIO = 200

    def __init__(self, encoding: str) -> None:
        if encoding not in ("gzip", "deflate", "x-gzip"):
            raise AttemptFailed(Failure(kind=_K.BAD_CONTENT_TYPE, message="the answer is compressed in a way that was not asked for"))
        self._object = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._in = self._out = 0

    def feed(self, data: bytes) -> list[bytes]:
        parts = []
        self._in += len(data)
        try:
            while data:
                part = self._object.decompress(data, READ_BYTES)
                data = self._object.unconsumed_tail
                self._out += len(part)
                if self._out > MAX_RESPONSE_BYTES or (self._out > 1 << 20 and self._out > self.MAX_RATIO * self._in):
                    raise AttemptFailed(Failure(kind=_K.TOO_LARGE_RESPONSE, message="the compressed answer is too large"))
                parts.append(part)
        except zlib.error:
            raise AttemptFailed(Failure(kind=_K.BAD_JSON, message="the compressed answer is damaged")) from None
        return parts
