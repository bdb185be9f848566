"""A thread for blocking database work that goes on all the time: its connection is its own and stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import DatabaseError, connection

from .connecting import take_own_connection


class OwnThread:
    """Call it as ``Gateway.threaded``: ``await own(work, *args)``. One piece of work after the other."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=take_own_connection)

    async def __call__(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, _run, work, args)

    def close(self) -> None:
        """Blocking. What was begun is finished."""
        self._pool.submit(connection.close)
        self._pool.shutdown()


def _run(work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    try:
        return work(*args)
    except DatabaseError:
        # Perhaps the server is another one by now; the next piece of work asks.
        connection.close()
        raise
