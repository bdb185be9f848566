"""The other end of a connection: knows when it went away, can be waited on, and can be reset."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Awaitable, Callable

from typing_extensions import override

from llm_gateway.simulator.http11 import HEAD_LIMIT


class Peer:
    """One client connection. A peer that sent FIN counts as gone: clients that wait for an answer do not half-close."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.gone: asyncio.Future[str] = loop.create_future()
        self.gone_mono: float | None = None
        self.gone_wall: float | None = None
        self.reader = asyncio.StreamReader(limit=HEAD_LIMIT, loop=loop)
        self.writer: asyncio.StreamWriter
        self.sent = 0

    def note_gone(self, how: str) -> None:
        """The peer closed, by ``how``: fin, reset or closed. The first note counts."""
        if not self.gone.done():
            self.gone_mono, self.gone_wall = time.monotonic(), time.time()
            self.gone.set_result(how)

    def here(self) -> bool:
        """Is anybody still reading?"""
        return not self.gone.done()

    async def pause(self, seconds: float) -> bool:
        """Sleeps, or less when the peer goes; true if it is still there."""
        if seconds > 0 and not self.gone.done():
            await asyncio.wait((self.gone,), timeout=seconds)
        return not self.gone.done()

    async def send(self, data: bytes) -> bool:
        """Writes with back-pressure; true if the peer was there to write to."""
        if self.gone.done():
            return False
        self.sent += len(data)
        self.writer.write(data)
        try:
            await self.writer.drain()
        except ConnectionError:
            return False
        return True

    async def hang(self) -> None:
        """Returns when the peer has gone."""
        await asyncio.wait((self.gone,))

    def reset(self) -> None:
        """Ends the connection by RST: linger zero, then abort."""
        sock = self.writer.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """Ends the connection by FIN after what was written."""
        self.writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), 1.0)


class PeerProtocol(asyncio.StreamReaderProtocol):
    """asyncio's stream protocol, noting when and how the peer left."""

    def __init__(self, serve: Callable[[Peer], Awaitable[None]], loop: asyncio.AbstractEventLoop) -> None:
        self.peer = Peer(loop)
        self._serve = serve

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.peer.writer = writer
            await serve(self.peer)

        super().__init__(self.peer.reader, connected, loop=loop)

    @override
    def eof_received(self) -> bool | None:
        self.peer.note_gone("fin")
        return super().eof_received()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.peer.note_gone("reset" if exc else "closed")
        super().connection_lost(exc)
