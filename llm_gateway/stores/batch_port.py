"""The engine's ``BatchQueue`` over the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from llm_gateway.engine.batch_lines import Line, Outcome
from llm_gateway.models import RequestLog

from . import batch_ends, batch_queue, batch_reading
from .catalog import SnapshotCatalog
from .files import FileGone, Reader

Threaded = Callable[..., Awaitable[Any]]
# A caller who waits was about if one began within this time.
LIVE = timedelta(seconds=5)


class DatabaseBatchQueue:
    """``runner`` names this process. ``own``: where lines are claimed and ended, all the time; ``threaded`` when absent. ``beside``: more
    work that needs no execution, done with each look."""

    def __init__(
        self,
        runner: str,
        threaded: Threaded,
        catalog: SnapshotCatalog,
        *,
        lease_s: float,
        own: Threaded | None = None,
        beside: Sequence[Callable[[datetime], object]] = (),
    ) -> None:
        self._runner = runner
        self._threaded = threaded
        self._own = own or threaded
        self._catalog = catalog
        self._lease = timedelta(seconds=lease_s)
        self._reader = Reader()
        self._beside = beside

    async def take(self, free: int, rooms: Mapping[str, int], usual: int, most_bytes: int) -> list[Line]:
        claims = batch_queue.Claims(
            free=free, rooms=dict(rooms), usual=usual, most_bytes=most_bytes, runner=self._runner, lease=self._lease
        )
        found: list[Line] = await self._own(self._take, claims)
        return found

    def _take(self, claims: batch_queue.Claims) -> list[Line]:
        return [self._with_text(line) for line in batch_queue.take(claims, datetime.now(UTC))]

    def _with_text(self, line: Line) -> Line:
        try:
            return msgspec.structs.replace(line, text=self._reader.read(line.file, line.offset, line.length))
        except FileGone:
            return line

    async def put(self, outcomes: Sequence[Outcome]) -> None:
        await self._own(batch_queue.put, outcomes, datetime.now(UTC))

    async def renew(self) -> None:
        await self._threaded(batch_queue.renew, self._runner, datetime.now(UTC), self._lease)

    async def look_after(self) -> None:
        await self._threaded(self._look_after)

    def _look_after(self) -> None:
        now = datetime.now(UTC)
        batch_queue.reap(now)
        batch_ends.sweep(now)
        while (batch := batch_reading.claim(self._runner, now)) is not None:
            snapshot = self._catalog.snapshot()
            known = snapshot.clients.get(batch.client_key.public_id)
            batch_reading.read_in(batch, snapshot, known[1] if known else None)
        for work in self._beside:
            work(now)

    async def live(self) -> bool:
        found: bool = await self._threaded(_live, datetime.now(UTC))
        return found


def _live(now: datetime) -> bool:
    recent = RequestLog.objects.filter(created_at__gte=now - LIVE, batch_id=None).exclude(state="rejected")
    return recent.exists()
