"""A large body in pieces as they come: counted against its cap, each piece against a clock of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from cogo.caller import Receive, shown_size
from llm_gateway.core.errors import BodyTimeout, BodyTooLarge, InvalidRequest, ShuttingDown

# However steadily it comes.
LONGEST_S = 3600.0


class Upload:
    """``idle_s``: how long nothing may come. ``complete`` once all of it was read."""

    def __init__(self, receive: Receive, cap: int, idle_s: float, declared: str = "") -> None:
        self._receive = receive
        self._cap = cap
        self._idle_s = idle_s
        self._declared = int(declared) if declared.isdecimal() else 0
        self._stopped = False
        self._scope: asyncio.Timeout | None = None
        self.complete = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """Once. Raises :class:`BodyTooLarge`, :class:`BodyTimeout`, :class:`ShuttingDown`, or ConnectionResetError when the caller left."""
        size = self._declared
        self._check(size)
        size = 0
        until = time.monotonic() + LONGEST_S
        while not self.complete:
            message = await self._next(until)
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("the caller left while sending")
            part: Any = message.get("body", b"")  # bytes, as ASGI has it
            size += len(part)
            self._check(size)
            self.complete = not message.get("more_body")
            if part:
                yield part

    async def read(self) -> bytes:
        raise InvalidRequest("This address takes an upload.")

    def stop(self) -> None:
        """Whoever reads is told that the gateway shuts down."""
        self._stopped = True
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def _next(self, until: float) -> dict[str, object]:
        seconds = min(self._idle_s, until - time.monotonic())
        try:
            async with asyncio.timeout(0 if self._stopped else seconds) as self._scope:
                return await self._receive()
        except TimeoutError:
            if self._stopped:
                raise ShuttingDown("The gateway is shutting down; send the file again.", retry_after_s=2) from None
            raise BodyTimeout(f"Nothing of the upload came for {self._idle_s:g} s.") from None
        finally:
            self._scope = None

    def _check(self, size: int) -> None:
        if size > self._cap:
            raise BodyTooLarge(f"The request's body is larger than {shown_size(self._cap)}.")
