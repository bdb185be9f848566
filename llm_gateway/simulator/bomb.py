"""A gzip body that is small on the wire and huge when opened."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable

from llm_gateway.simulator.peer import Peer

_MIB = 1 << 20
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


async def send(peer: Peer, head: bytes, chunk: Callable[[bytes], bytes], mebibytes: int) -> None:
    """Sends ``mebibytes`` MiB of zeros, correct to the checksum. A full flush makes the bytes of every block the same."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(_MIB)
    block = chunk(squeezer.compress(zeros) + squeezer.flush(zlib.Z_FULL_FLUSH))
    if not await peer.send(head + chunk(_GZIP_HEAD)):
        return
    for _ in range(mebibytes):
        if not await peer.send(block):
            return
    check = await asyncio.to_thread(_checksum, zeros, mebibytes)
    size = (mebibytes * _MIB) & 0xFFFFFFFF
    await peer.send(chunk(b"\x03\x00" + check.to_bytes(4, "little") + size.to_bytes(4, "little")) + b"0\r\n\r\n")


def _checksum(zeros: bytes, times: int) -> int:
    check = 0
    for _ in range(times):
        check = zlib.crc32(zeros, check)
    return check
