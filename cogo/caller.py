"""The caller's side of a request: its body under a cap and a clock, and whether it is still there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from llm_gateway.core.errors import BodyTimeout, BodyTooLarge, ShuttingDown
from llm_gateway.engine.tasks import TaskOwner

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# A call that lasts longer than this is worth a task that watches whether its caller is still there.
WATCH_AFTER_S = 0.2


class Body:
    """A request body: counted while it comes, against the cap and the clock. ``declared``: its length as the caller announces it, which
    may be enough to read nothing. ``complete`` once all of it was read."""

    __slots__ = ("_cap", "_declared", "_receive", "_scope", "_seconds", "_stopped", "complete")

    def __init__(self, receive: Receive, cap: int, seconds: float, declared: str = "") -> None:
        self._receive = receive
        self._declared = int(declared) if declared.isdecimal() else 0
        self._cap = cap
        self._seconds = seconds
        self._scope: asyncio.Timeout | None = None
        self._stopped = False
        self.complete = False

    async def read(self) -> bytes:
        """Raises :class:`BodyTooLarge`, :class:`BodyTimeout`, :class:`ShuttingDown`, or ConnectionResetError when the caller left."""
        self._check(self._declared)
        try:
            async with asyncio.timeout(self._seconds) as self._scope:
                body = await self._all()
        except TimeoutError:
            if self._stopped:
                raise ShuttingDown("The gateway is shutting down; send the request again.", retry_after_s=2) from None
            raise BodyTimeout(f"The request's body did not arrive within {self._seconds:g} s.") from None
        finally:
            self._scope = None
        self.complete = True
        return body

    def stop(self) -> None:
        """Whoever reads is told that the gateway shuts down."""
        self._stopped = True
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def _all(self) -> bytes:
        message = await self._next()
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            self._check(len(body))
            return body
        parts = [body]
        size = len(body)
        while message.get("more_body"):
            self._check(size)
            message = await self._next()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        self._check(size)
        return b"".join(parts)

    def _check(self, size: int) -> None:
        if size > self._cap:
            shown = f"{self._cap >> 20} MB" if self._cap >= 1 << 20 else f"{self._cap} bytes"
            raise BodyTooLarge(f"The request's body is larger than {shown}.")

    async def _next(self) -> dict[str, Any]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the caller left while sending")
        return message


class Watch:
    """Sees a caller leave, keeps a quiet stream alive, and gives up on one that no longer reads: then the serving task is cancelled and
    ``gone`` is true, ``stalled`` too in the last case."""

    __slots__ = (
        "_heartbeat_s", "_last", "_owner", "_reader", "_receive", "_send", "_stall_s", "_task", "_timer", "_watching", "gone", "heartbeat",
        "sending", "stalled",
    )  # fmt: skip

    def __init__(self, receive: Receive, send: Send, reader: Body, owner: TaskOwner, *, heartbeat_s: float, stall_s: float) -> None:
        self._receive = receive
        self._send = send
        self._reader = reader
        self._owner = owner
        self._heartbeat_s = heartbeat_s
        self._stall_s = stall_s
        self._task = asyncio.current_task()
        self._watching: asyncio.Task[Any] | None = None
        self._last = time.monotonic()
        self.heartbeat = b""
        self.sending: float | None = None
        self.gone = False
        self.stalled = False
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self.start)

    def start(self) -> None:
        """Begin to watch, as soon as the body is complete: until then its reader is the one who listens."""
        if self._watching is not None:
            return
        if self._reader.complete:
            self._watching = self._owner.start(self._watch(), "watch a caller")
        else:
            self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self.start)

    def sent(self) -> None:
        self.sending = None
        self._last = time.monotonic()

    def stop(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        tick = min(self._heartbeat_s, self._stall_s / 4)
        while not self.stalled:
            try:
                async with asyncio.timeout(tick):
                    message = await self._receive()
            except TimeoutError:
                await self._look()
                continue
            if message["type"] == "http.disconnect":
                break
        self._end()

    def give_up(self) -> None:
        """End a caller that is not taking what it is sent just now."""
        if self.sending is not None and not self.gone:
            self.stalled = True
            self._end()

    def _end(self) -> None:
        self.gone = True
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        now = time.monotonic()
        if self.sending is not None:
            self.stalled = now - self.sending > self._stall_s
        elif self.heartbeat and now - self._last >= self._heartbeat_s:
            try:
                async with asyncio.timeout(self._stall_s):
                    await self._send({"type": "http.response.body", "body": self.heartbeat, "more_body": True})
                self._last = now
            except TimeoutError:
                self.stalled = True


def hang_up(send: Send) -> None:
    """Drop a connection whose other side does not read: closing it politely would wait for that side for ever. uvicorn's own objects are
    the only way to it from an ASGI application; without them there is nothing to do."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
