"""Admission: which caller gets one of the process's places, which waits, and which is refused."""

from __future__ import annotations

import asyncio
import random
from collections import deque

from llm_gateway.core.errors import Overloaded
from llm_gateway.policies import admission


class Places:
    """Call :meth:`leave` once for every :meth:`take` that returns. ``inside``: taken places,
    including those handed to a waiter that has not woken up yet."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.inside = 0

    @property
    def full(self) -> bool:
        """Whether a new caller would have to wait."""
        return self.inside >= self._limit

    def enter(self) -> bool:
        """Take a place, where there is one for whoever comes now."""
        if self.inside >= self._limit:
            return False
        self.inside += 1
        return True

    async def take(self) -> None:
        """Raises :class:`Overloaded`."""
        match admission.verdict(self.inside, len(self._waiting), self._limit):
            case "enter":
                self.inside += 1
            case "wait":
                await self._wait()
            case "refuse":
                raise _full()

    def leave(self) -> None:
        self.inside -= 1
        self._hand_over()

    async def measure(self) -> None:
        """Adjust the limit to the event loop's lag; never returns."""
        loop = asyncio.get_running_loop()
        lags: deque[float] = deque(maxlen=admission.LOOKS)
        while True:
            before = loop.time()
            await asyncio.sleep(admission.LOOK_EVERY_S)
            lags.append(loop.time() - before - admission.LOOK_EVERY_S)
            self._limit = admission.adjusted(self._limit, lags, self.inside, self._most)
            self._hand_over()

    async def _wait(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(admission.WAIT_S):
                await place
        except BaseException as error:
            if place in self._waiting:
                self._waiting.remove(place)
            handed_over = place.done() and not place.cancelled()
            if isinstance(error, TimeoutError):
                if handed_over:
                    return
                raise _full() from None
            if handed_over:
                self.leave()
            raise

    def _hand_over(self) -> None:
        """Hand free places to the longest waiters."""
        while self._waiting and self.inside < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self.inside += 1
                place.set_result(None)


def _full() -> Overloaded:
    return Overloaded(
        "The gateway is full; try again shortly.",
        retry_after_s=admission.retry_after_s(random.random()),  # noqa: S311  # spreads callers
    )
