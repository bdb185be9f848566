"""Work on large bodies, away from the event loop.

A body of megabytes takes a parser tens of milliseconds, in which no stream moves. One thread does all of it: more would only fight for the
interpreter's lock, and a caller who sends many large bodies waits for its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Below this, the way to a thread and back costs more than the work.
LARGE_BYTES = 64 << 10

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large bodies")


async def away(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of ``work``, which handles ``size`` bytes. It must not touch what belongs to the event loop."""
    if size < LARGE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_thread, lambda: work(*args, **kwargs))
