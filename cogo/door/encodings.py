"""Compressed request bodies: gzip and deflate are unpacked under the same cap as any body, everything else is refused by name."""

from __future__ import annotations

import zlib

from cogo.caller import Unpack, shown_size
from llm_gateway.core.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding
from llm_gateway.engine.heavy import away

PIECE = 1 << 16
# JSON of one repeated character reaches a thousand; what expands further than this was made to.
MOST_RATIO = 1100


def unpacker(encoding: str) -> Unpack | None:
    """How a body with this ``Content-Encoding`` is unpacked; ``None``: it is not packed."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return _unpack

    async def refuse(body: bytes, cap: int) -> bytes:
        raise UnsupportedEncoding(
            f"The body's encoding `{encoding[:40]}` is not known here; send it as gzip, as deflate, or not compressed.",
            param="content-encoding",
        )

    return refuse


async def _unpack(body: bytes, cap: int) -> bytes:
    return await away(cap, unpacked, body, cap)


def unpacked(body: bytes, cap: int) -> bytes:
    """Raises :class:`BodyTooLarge` beyond ``cap``, :class:`InvalidRequest` for damaged data."""
    try:
        return _inflated(body, cap, zlib.MAX_WBITS | 32)
    except zlib.error:
        pass
    try:
        # Some senders call raw deflate data, without zlib's frame, "deflate".
        return _inflated(body, cap, -zlib.MAX_WBITS)
    except zlib.error:
        raise InvalidRequest("The compressed body is damaged, or is not what `content-encoding` says.", param="content-encoding") from None


def _inflated(body: bytes, cap: int, window: int) -> bytes:
    inflate = zlib.decompressobj(window)
    parts = []
    size = 0
    rest = body
    while rest and not inflate.eof:
        part = inflate.decompress(rest, PIECE)
        rest = inflate.unconsumed_tail
        size += len(part)
        if size > cap or (size > 1 << 20 and size > MOST_RATIO * len(body)):
            raise BodyTooLarge(f"The request's body is larger than {shown_size(cap)} once it is unpacked.")
        parts.append(part)
    parts.append(inflate.flush())
    if not inflate.eof or inflate.unused_data:
        raise zlib.error("not one whole stream")
    return b"".join(parts)
