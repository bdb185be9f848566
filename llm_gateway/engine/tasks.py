"""Owners of background tasks: what starts here is waited for here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("cogo.tasks")


class TaskOwner:
    """Starts tasks, keeps them alive, and ends them at :meth:`close`."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def settle(self, timeout_s: float) -> None:
        """Wait for what runs, at most ``timeout_s``; nothing is cancelled."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_s)

    async def close(self) -> None:
        for task in set(self._tasks):
            task.cancel()
        await asyncio.gather(*set(self._tasks), return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a background task failed", extra={"task": task.get_name()}, exc_info=task.exception())


class Detached:
    """Executions in tasks of their own, which end whether or not their callers stay; ``most`` of them may be without one."""

    def __init__(self, owner: TaskOwner, most: int) -> None:
        self._owner = owner
        self._most = most
        self._running: set[asyncio.Task[Any]] = set()
        self._alone: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = self._owner.start(work, name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def left(self, task: asyncio.Task[Any]) -> None:
        """The caller of ``task`` left. It goes on, unless as many as may be without a caller already are: then it is cancelled."""
        if task.done():
            return
        if len(self._alone) >= self._most:
            task.cancel()
        else:
            self._alone.add(task)

    @property
    def alone(self) -> int:
        return len(self._alone)

    def __len__(self) -> int:
        return len(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        self._alone.discard(task)
