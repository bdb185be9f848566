"""The caller's side of a request: its body under a cap and a clock, and whether it is still there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from llm_gateway.core.errors import BodyTimeout, BodyTooLarge, GatewayError, ShuttingDown
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.engine.until import Until

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

Upload = Callable[[], AbstractContextManager[None]]
Unpack = Callable[[bytes, int], Awaitable[bytes]]

# A body that takes longer to come than this is an upload.
GRACE_S = 0.05
# A call that lasts longer than this is worth a task that watches whether its caller is still there.
WATCH_AFTER_S = 0.2


class Body:
    """A request body: counted while it comes, against the cap and the clock. ``declared``: its length as the caller announces it, which
    may be enough to read nothing. ``complete`` once all of it was read.

    ``upload`` is entered around the wait for a body that does not come within :data:`GRACE_S`; what it raises ends the reading. ``unpack``
    turns the bytes that came into those that are meant."""

    __slots__ = (
        "_cap", "_declared", "_failed", "_parts", "_read", "_receive", "_scope", "_seconds", "_size", "_stopped", "_unpack", "_upload",
        "complete",
    )  # fmt: skip

    def __init__(
        self, receive: Receive, cap: int, seconds: float, declared: str = "", *, upload: Upload = nullcontext, unpack: Unpack | None = None
    ) -> None:
        self._receive = receive
        self._declared = int(declared) if declared.isdecimal() else 0
        self._cap = cap
        self._seconds = seconds
        self._upload = upload
        self._unpack = unpack
        self._scope: Until | None = None
        self._stopped = False
        self._parts: list[bytes] = []
        self._size = 0
        self._read: bytes | None = None
        self._failed: GatewayError | ConnectionError | None = None
        self.complete = False

    async def read(self) -> bytes:
        """The same bytes, or the same error, however often it is called. Raises :class:`BodyTooLarge`, :class:`BodyTimeout`,
        :class:`ShuttingDown`, what ``upload`` and ``unpack`` raise, or ConnectionResetError when the caller left."""
        if self._failed is not None:
            raise self._failed
        if self._read is None:
            try:
                self._read = await self._whole()
            except (GatewayError, ConnectionError) as error:
                self._failed = error
                raise
        return self._read

    async def _whole(self) -> bytes:
        self._check(self._declared)
        grace = min(GRACE_S, self._seconds)
        if not await self._within(grace):
            with self._upload():
                if not await self._within(self._seconds - grace):
                    raise BodyTimeout(f"The request's body did not arrive within {self._seconds:g} s.")
        self.complete = True
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        return body if self._unpack is None else await self._unpack(body, self._cap)

    def stop(self) -> None:
        """Whoever reads is told that the gateway shuts down."""
        self._stopped = True
        if self._scope is not None:
            self._scope.pass_now()

    async def _within(self, seconds: float) -> bool:
        """Whether the body was complete in time; what has come stays."""
        try:
            with Until(asyncio.get_running_loop().time() + (0 if self._stopped else seconds)) as self._scope:
                await self._collect()
        except TimeoutError:
            if self._stopped:
                raise ShuttingDown("The gateway is shutting down; send the request again.", retry_after_s=2) from None
            return False
        finally:
            self._scope = None
        return True

    async def _collect(self) -> None:
        while True:
            self._check(self._size)
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("the caller left while sending")
            part: bytes = message.get("body", b"")
            self._size += len(part)
            self._parts.append(part)
            if not message.get("more_body"):
                self._check(self._size)
                return

    def _check(self, size: int) -> None:
        if size > self._cap:
            raise BodyTooLarge(f"The request's body is larger than {shown_size(self._cap)}.")


def shown_size(size: int) -> str:
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size} bytes"


class Reader(Protocol):
    """Whose body a watch does not disturb. ``complete``: all of it was read."""

    complete: bool


class Watch:
    """Sees a caller leave, keeps a quiet stream alive, and gives up on one that no longer reads: then the serving task is cancelled and
    ``gone`` is true, ``stalled`` too in the last case."""

    __slots__ = (
        "_heartbeat_s", "_last", "_owner", "_reader", "_receive", "_send", "_stall_s", "_task", "_timer", "_watching", "gone", "heartbeat",
        "sending", "stalled",
    )  # fmt: skip

    def __init__(self, receive: Receive, send: Send, reader: Reader, owner: TaskOwner, *, heartbeat_s: float, stall_s: float) -> None:
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
