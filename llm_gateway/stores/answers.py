"""Kept answers: bounded memory in front, a shelf that all processes share behind it.

Nothing waits for the shelf longer than :data:`DEADLINE_S`, and one that is slow or broken is left alone for a while: then an answer that
only it has is asked for anew. Writing is droppable: what does not fit into the queue is not kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from django.conf import settings

from llm_gateway.engine.ports import Slip
from llm_gateway.engine.tasks import TaskOwner

from . import cache_measures

log = logging.getLogger("cogo.answers")

MEMORY_BYTES = 64 << 20
# What an entry of the table of entries costs beside its bytes.
OVERHEAD_BYTES = 400
DEADLINE_S = 0.02
# So many faults in a row, and the shelf is left alone for so long.
FAULTS, LEFT_ALONE_S = 3, 30.0
# Looks at the shelf at once: a database that hangs must not take every thread.
MOST_LOOKS = 4
MOST_WAITING = 256
WRITTEN_AT_ONCE = 32

Threaded = Callable[..., Awaitable[Any]]
Kept = tuple[bytes, bytes, Slip]


class Shelf(Protocol):
    """Blocking; may raise anything. ``may_have`` never blocks: whether it is worth a look. ``refresh`` is called about once a second."""

    def may_have(self, key: bytes) -> bool: ...
    def get(self, key: bytes) -> bytes | None: ...
    def put(self, kept: Sequence[Kept]) -> None: ...
    def refresh(self) -> Sequence[bytes]:
        """Keys whose answers other processes have written anew."""
        ...


class Memory:
    """The most recently used answers, at most ``most`` bytes of them."""

    def __init__(self, most: int = MEMORY_BYTES) -> None:
        self._most = most
        self._held: OrderedDict[bytes, bytes] = OrderedDict()
        self.size = 0

    def get(self, key: bytes) -> bytes | None:
        data = self._held.get(key)
        if data is not None:
            self._held.move_to_end(key)
        return data

    def put(self, key: bytes, data: bytes) -> None:
        self.drop(key)
        self._held[key] = data
        self.size += len(data) + OVERHEAD_BYTES
        while self.size > self._most:
            _, old = self._held.popitem(last=False)
            self.size -= len(old) + OVERHEAD_BYTES

    def drop(self, key: bytes) -> None:
        old = self._held.pop(key, None)
        if old is not None:
            self.size -= len(old) + OVERHEAD_BYTES

    def __len__(self) -> int:
        return len(self._held)


class AnswerStore:
    """Implements the engine's ``Answers`` port. ``threaded`` runs blocking work."""

    def __init__(self, owner: TaskOwner, threaded: Threaded, shelf: Shelf, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._owner = owner
        self._threaded = threaded
        self.shelf = shelf
        self.memory = Memory(memory_bytes)
        self.deadline_s = DEADLINE_S
        self.in_use = False
        self.dropped = 0
        self._looks = 0
        self._faults = 0
        self._left_alone_until = 0.0
        self._waiting: deque[Kept] = deque()
        self._writer: asyncio.Task[Any] | None = None

    async def find(self, key: bytes) -> bytes | None:
        self.in_use = True
        data = self.memory.get(key)
        if data is None and self.shelf.may_have(key):
            data = await self._look(key)
            if data is not None:
                self.memory.put(key, data)
            else:
                # While the shelf was asked, a twin may have been answered: without this look its asker would send the request again.
                data = self.memory.get(key)
        return data

    def keep(self, key: bytes, data: bytes, slip: Slip) -> None:
        self.in_use = True
        self.memory.put(key, data)
        if not slip.at_rest:
            return
        if len(self._waiting) >= MOST_WAITING or self._alone:
            self.dropped += 1
            return
        self._waiting.append((key, data, slip))
        if self._writer is None or self._writer.done():
            self._writer = self._owner.start(self._write(), "keep answers")

    def drop(self, key: bytes) -> None:
        self.memory.drop(key)

    def judged(self, alias: str, right: bool) -> None:
        if not self._alone:
            self._owner.start(self._note(alias, right), "note a judged hit")

    async def _note(self, alias: str, right: bool) -> None:
        try:
            await self._threaded(cache_measures.note, alias, right)
        except Exception as error:
            log.warning("a judged hit is not noted", extra={"reason": f"{type(error).__name__}: {error}"[:300]})

    def refresh(self) -> list[bytes]:
        """Blocking, about once a second, outside the event loop. Returns keys that :meth:`forget` has to be told of on the loop."""
        return list(self.shelf.refresh()) if self.in_use and not self._alone else []

    def forget(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            self.memory.drop(key)

    @property
    def _alone(self) -> bool:
        return time.monotonic() < self._left_alone_until

    async def _look(self, key: bytes) -> bytes | None:
        if self._alone or self._looks >= MOST_LOOKS:
            return None
        self._looks += 1
        work = asyncio.ensure_future(self._threaded(self.shelf.get, key))
        work.add_done_callback(self._looked)
        try:
            async with asyncio.timeout(self.deadline_s):
                data: bytes | None = await asyncio.shield(work)
        except TimeoutError:
            self._fault("slow")
            return None
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._fault(type(error).__name__)
            return None
        self._faults = 0
        return data

    def _looked(self, work: asyncio.Future[Any]) -> None:
        self._looks -= 1
        if not work.cancelled():
            work.exception()  # looked at: whoever asked may have gone on

    def _fault(self, what: str) -> None:
        self._faults += 1
        if self._faults >= FAULTS:
            self._faults = 0
            self._left_alone_until = time.monotonic() + LEFT_ALONE_S
            log.warning("the shelf of kept answers is left alone for a while", extra={"reason": what})

    async def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), WRITTEN_AT_ONCE))]
            try:
                await self._threaded(self.shelf.put, batch)
            except Exception as error:
                self.dropped += len(batch)
                self._fault(type(error).__name__)
                log.warning("answers are not kept", extra={"count": len(batch), "reason": f"{type(error).__name__}: {error}"[:300]})


def shelf() -> Shelf:
    """Redis where one is configured, else the database."""
    if settings.REDIS_URL:
        from .answer_redis import AnswerRedis

        return AnswerRedis()
    from .answer_table import AnswerTable

    return AnswerTable()
