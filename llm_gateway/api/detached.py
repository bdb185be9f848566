"""An execution that its caller may leave: it ends all the same, so that its answer can be kept.

The execution runs in a task of the gateway's. It hands over a head, then chunks; whoever takes them may be gone at any moment, and is no
more than a few chunks behind for as long as it is there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

from llm_gateway.core.errors import InternalError
from llm_gateway.engine.tasks import Detached

T = TypeVar("T")
# How far an execution may be ahead of a caller that is still there.
DEPTH = 8


class Handover:
    """Chunks between an execution and its caller. One task puts, one takes."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._moved = asyncio.Event()
        self._over = False
        self._error: BaseException | None = None
        self.gone = False

    async def put(self, chunk: bytes) -> None:
        """Waits for a caller that is slow, never for one that left."""
        while not self.gone and len(self._chunks) >= DEPTH:
            await self._change()
        if not self.gone:
            self._chunks.append(chunk)
            self._moved.set()

    def end(self, error: BaseException | None = None) -> None:
        if not self._over:
            self._over, self._error = True, error
            self._moved.set()

    async def take(self) -> bytes:
        """Raises ``StopAsyncIteration`` at the end, or what the execution ended with."""
        while not self._chunks:
            if self._over:
                raise self._error or StopAsyncIteration
            await self._change()
        chunk = self._chunks.popleft()
        self._moved.set()
        return chunk

    def leave(self) -> None:
        self.gone = True
        self._chunks.clear()
        self._moved.set()

    async def _change(self) -> None:
        self._moved.clear()
        await self._moved.wait()


class Taken:
    """The caller's end of a :class:`Handover`. No generator: one that is never stepped could not say that its caller left."""

    def __init__(self, handover: Handover, left: Callable[[], None]) -> None:
        self._handover = handover
        self._left = left
        self._open = True
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._handover.take()
        except StopAsyncIteration:
            self._open = False
            raise
        except BaseException:
            self._leave()
            raise

    async def aclose(self) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._open:
            self._open = False
            self._left()

    def __del__(self) -> None:
        if self._open and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._left)


class Execution(Generic[T]):
    """``work(execution)`` runs detached: it calls :meth:`show` once with what the caller gets first, may then :meth:`Handover.put` chunks,
    and returns. ``keeps``: its answer can be given to somebody who comes back; if not, it ends with its caller."""

    def __init__(self, detached: Detached, keeps: bool) -> None:
        self._detached = detached
        self._keeps = keeps
        # Let go of once it is given out: whoever got it may drop it, and a dropped stream has to be noticed.
        self._head: asyncio.Future[T] | None = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[Any] | None = None
        self.handover = Handover()

    async def head(self, work: Callable[[Execution[T]], Awaitable[None]], name: str) -> T:
        """Begin, and wait for the head. Raises what ``work`` raised before it."""
        assert self._head is not None
        self._task = self._detached.start(self._run(work), name)
        try:
            return await asyncio.shield(self._head)
        except asyncio.CancelledError:
            self.leave()
            raise
        finally:
            self._head = None

    def show(self, head: T) -> None:
        if self._head is not None and not self._head.done():
            self._head.set_result(head)

    def taken(self) -> Taken:
        return Taken(self.handover, self.leave)

    def leave(self) -> None:
        """The caller left."""
        self.handover.leave()
        if self._task is None or self._task.done():
            return
        if self._keeps:
            self._detached.left(self._task)
        else:
            self._task.cancel()

    async def _run(self, work: Callable[[Execution[T]], Awaitable[None]]) -> None:
        error: BaseException | None = None
        try:
            await work(self)
        except asyncio.CancelledError:
            error = InternalError("The execution was broken off.")
            raise
        except Exception as raised:  # the caller's to tell, if there still is one
            error = raised
        finally:
            self.handover.end(error)
            if self._head is not None and not self._head.done():
                self._head.set_exception(error or InternalError("The execution ended without an answer."))
                self._head.exception()  # looked at: nobody may be left to do so
