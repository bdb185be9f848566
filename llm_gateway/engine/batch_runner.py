"""Executes lines of batches: a fixed pool of places, each line through the pipeline, at the pace its deployment takes.

One loop owns the queue: it writes what ended, claims as many lines as there are free places, and sleeps until one ends. What the database
refuses is kept and tried again; the fence decides whether it is still wanted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from llm_gateway.policies import pace as paces
from llm_gateway.policies.pace import Pace

from .batch_lines import BatchQueue, Line, Outcome, Pushback, Returned
from .tasks import TaskOwner

log = logging.getLogger("cogo.batches")

Execute = Callable[[Line], Awaitable[tuple[Outcome, Pushback]]]
PLACES = 32
# Texts of lines in memory at once.
MOST_BYTES = 64 << 20
IDLE_S = 1.0
LOOK_S = 2.0
LIVE_S = 2.0
DATABASE_AWAY_S = 1.0
# Lines that end within so long of each other are written and replaced together, or half of the places, whichever comes first.
TOGETHER_S = 0.03


class BatchRunner:
    """``run`` until ``stop``. ``lease_s``: how long a line may go unrenewed. ``foresee``: by model name, the deployment that its next line
    will be asked of; empty: unknown, and then the one that answered last sets the pace."""

    def __init__(
        self,
        queue: BatchQueue,
        execute: Execute,
        owner: TaskOwner,
        *,
        places: int = PLACES,
        lease_s: float = 60.0,
        foresee: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._queue = queue
        self._execute = execute
        self._owner = owner
        self._places = places
        self._lease_s = lease_s
        self._foresee = foresee
        self._running: dict[int, tuple[Line, asyncio.Task[None]]] = {}
        self._done: list[Outcome] = []
        self._paces: dict[str, Pace] = {}
        # By model name as it is asked for: the deployment that answered last.
        self._deployments: dict[str, str] = {}
        self._busy: Counter[str] = Counter()
        self._woken = asyncio.Event()
        self._stopping = False
        self._live = False
        self.ended = 0

    async def run(self) -> None:
        beside = [self._owner.start(work, name) for work, name in ((self._look(), "look after batches"), (self._renew(), "renew lines"))]
        idle_s = 0.0
        try:
            while not self._stopping:
                self._woken.clear()
                if 0 < len(self._done) < self._places // 2 and not self._stopping:
                    await asyncio.sleep(TOGETHER_S)
                try:
                    moved = await self._turn()
                except Exception as error:
                    # The loop outlives a database that is away.
                    log.warning("the queue of batches cannot be reached", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
                    moved, idle_s = False, DATABASE_AWAY_S
                idle_s = 0.0 if moved else min(max(idle_s * 2, 0.02), max(IDLE_S, idle_s))
                await self._sleep(idle_s)
        finally:
            for task in beside:
                task.cancel()

    def stop(self) -> None:
        self._stopping = True
        self._woken.set()

    async def finish(self, grace_s: float) -> None:
        """After ``run`` has returned: lines in flight may end within ``grace_s``; the others are broken off and go back to the queue."""
        tasks = [task for _, task in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        left = list(self._running.values())
        for _, task in left:
            task.cancel()
        await asyncio.gather(*(task for _, task in left), return_exceptions=True)
        self._done += [Returned(line=line, sent=True) for line, _ in left]
        await self._write()

    @property
    def in_flight(self) -> int:
        return len(self._running)

    async def _turn(self) -> bool:
        """Whether anything was written or begun."""
        wrote = await self._write()
        free = self._places - len(self._running)
        if free <= 0 or self._stopping:
            return wrote
        rooms = {model: self._room(model) for model in {*self._deployments, *self._paces}}
        size = sum(line.length for line, _ in self._running.values())
        lines = await self._queue.take(free, rooms, self._room(""), MOST_BYTES - size)
        for line in lines:
            self._begin(line)
        return wrote or bool(lines)

    def _key(self, model: str) -> str:
        """Under which the pace of its next line is kept."""
        return (self._foresee(model) if model else "") or self._deployments.get(model, model)

    def _room(self, model: str) -> int:
        key = self._key(model)
        pace = self._paces.get(key, Pace())
        return paces.room(pace, self._busy[key], self._places, time.monotonic(), live=self._live)

    def _begin(self, line: Line) -> None:
        key = self._key(line.model)
        self._busy[key] += 1
        task = self._owner.start(self._one(line, key), f"line {line.request_id}")
        self._running[line.id] = (line, task)

    async def _one(self, line: Line, key: str) -> None:
        try:
            outcome, told = await self._execute(line)
        except asyncio.CancelledError:
            self._busy[key] -= 1
            raise
        except Exception:
            log.exception("a line could not be executed", extra={"request_id": str(line.request_id)})
            outcome, told = Returned(line=line, wait_s=DATABASE_AWAY_S, sent=True), Pushback()
        self._busy[key] -= 1
        self._learn(line, told, key)
        self._running.pop(line.id, None)
        self._done.append(outcome)
        self._woken.set()

    def _learn(self, line: Line, told: Pushback, asked: str) -> None:
        """``asked``: the deployment that the line was begun for, which is meant where nobody names one."""
        now = time.monotonic()
        for name, wait_s in told.pushed.items():
            key = name or asked
            self._paces[key] = paces.pushed_back(self._paces.get(key, Pace()), now, wait_s)
        if told.served:
            self._deployments[line.model] = told.served
            if told.served not in told.pushed:
                self._paces[told.served] = paces.succeeded(self._paces.get(told.served, Pace()), self._places)

    async def _write(self) -> bool:
        if not self._done:
            return False
        outcomes, self._done = self._done, []
        try:
            await self._queue.put(outcomes)
        except BaseException:
            self._done = outcomes + self._done
            raise
        self.ended += len(outcomes)
        return True

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0 and not self._done:
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                return
        else:
            await asyncio.sleep(0)

    async def _look(self) -> None:
        live_at = 0.0
        while True:
            try:
                await self._queue.look_after()
                if time.monotonic() >= live_at:
                    self._live = await self._queue.live()
                    live_at = time.monotonic() + LIVE_S
            except Exception as error:
                log.warning("batches could not be looked after", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
            await asyncio.sleep(LOOK_S)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 4)
            try:
                await self._queue.renew()
            except Exception as error:
                log.warning("leases of lines were not renewed", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
