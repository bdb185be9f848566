"""A deadline around what is awaited, at a third of what ``asyncio.timeout`` costs: a request has three of them."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any


class Until:
    """``with Until(when): await …`` raises :class:`TimeoutError` at ``when``, a time of the loop's clock. As with :func:`asyncio.timeout`,
    what is awaited is cancelled, and a cancellation that comes from elsewhere stays one."""

    __slots__ = ("_before", "_late", "_loop", "_task", "_timer")

    def __init__(self, when: float) -> None:
        task = asyncio.current_task()
        assert task is not None, "a deadline is a task's"
        # None once what it bounds has ended.
        self._task: asyncio.Task[Any] | None = task
        self._loop = asyncio.get_running_loop()
        self._late = False
        self._before = task.cancelling()
        self._timer = self._loop.call_at(when, self._pass)

    def pass_now(self) -> None:
        """The deadline is here. It has no effect on what has ended."""
        self._timer.cancel()
        self._loop.call_soon(self._pass)

    def __enter__(self) -> Until:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        task, self._task = self._task, None
        assert task is not None
        if self._late and task.uncancel() <= self._before and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def _pass(self) -> None:
        if self._task is not None and not self._late:
            self._late = True
            self._task.cancel()
