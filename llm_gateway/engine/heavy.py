"""Work on large bodies, away from the event loop.

A body of megabytes takes a parser tens of milliseconds, in which no stream moves. One thread does all of it: more would only fight for the
interpreter's lock. The client keys whose bodies wait take turns, so whoever sends many waits for its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Below this, the way to a thread and back costs more than the work.
LARGE_BYTES = 64 << 10

# The client key that the current request came with; 0 for callers without one.
_whose: ContextVar[int] = ContextVar("cogo_whose", default=0)


class Turns:
    """One thread, and for each caller a queue: the caller who was served last waits for all the others."""

    def __init__(self, name: str = "large bodies") -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._waiting: dict[int, deque[tuple[Future[Any], Callable[[], Any]]]] = {}

    def submit(self, whose: int, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            self._waiting.setdefault(whose, deque()).append((future, work))
        self._thread.submit(self._one)
        return future

    def _one(self) -> None:
        with self._lock:
            whose = next(iter(self._waiting))
            queue = self._waiting.pop(whose)
            future, work = queue.popleft()
            if queue:
                self._waiting[whose] = queue
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:  # whoever waits for the result gets it
            future.set_exception(error)


_turns = Turns()


def working_for(client_key_id: int | None) -> None:
    """From here on, the work of this request takes its turn among that of its client key."""
    _whose.set(client_key_id or 0)


async def away(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of ``work``, which handles ``size`` bytes. It must not touch what belongs to the event loop."""
    if size < LARGE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.wrap_future(_turns.submit(_whose.get(), lambda: work(*args, **kwargs)))
