"""Twins of one request: the first is sent, the others wait for its answer within their own deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from .remembered import Entry

# A twin whose leaders failed so often goes alone: a host that is down is not waited for by one twin after another.
MOST_WAITS = 3


class Flight:
    """``entry``: the answer to share. ``alone``: the answer came and cannot be shared, so nobody need wait for another leader."""

    __slots__ = ("_over", "alone", "entry")

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self.entry: Entry | None = None
        self.alone = False

    async def end(self, remaining_s: float | None) -> None:
        """Returns when the leader has ended. Raises :class:`TimeoutError`."""
        async with asyncio.timeout(remaining_s):
            await self._over.wait()

    def over(self) -> None:
        self._over.set()


class Flights:
    """One flight per key in this process."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, Flight] = {}

    def of(self, key: bytes) -> Flight | None:
        return self._under_way.get(key)

    @contextmanager
    def lead(self, key: bytes) -> Iterator[Flight]:
        """However the leader ends, its twins go on: with what it left in the flight, or by one of them leading the next."""
        flight = self._under_way[key] = Flight()
        try:
            yield flight
        finally:
            if self._under_way.get(key) is flight:
                del self._under_way[key]
            flight.over()

    def __len__(self) -> int:
        return len(self._under_way)
