"""The pace of a batch: that of the deployment its next line will be asked of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from llm_gateway.engine.batch_lines import Ended, Line, Outcome, Pushback
from llm_gateway.engine.batch_runner import BatchRunner
from llm_gateway.engine.tasks import TaskOwner


def line(number: int) -> Line:
    return Line(
        id=number, number=number, custom_id=f"c{number}", kind="chat", model="alias", offset=0, length=1, request_id=UUID(int=number),
        batch=UUID(int=1), dialect="openai", named_model="", file=UUID(int=2), public_id="k", team=1, economy=False, fails_on_budget=False,
    )  # fmt: skip


class Queue:
    """Gives out as many lines as there is room for, and notes what room there was."""

    def __init__(self, most: int) -> None:
        self.rooms: list[int] = []
        self._left, self._number = most, 0

    async def take(self, free: int, rooms: Mapping[str, int], usual: int, most_bytes: int) -> list[Line]:
        room = rooms.get("alias", usual)
        self.rooms.append(room)
        count = max(0, min(free, room, self._left))
        self._left -= count
        self._number += count
        return [line(self._number - one) for one in range(count)]

    async def put(self, outcomes: Sequence[Outcome]) -> None: ...
    async def renew(self) -> None: ...
    async def look_after(self) -> None: ...

    async def live(self) -> bool:
        return False


async def run(first: list[str], pushed: Mapping[str, float | None], most: int) -> Queue:
    """Lines that ``a`` refuses with ``pushed`` and ``b`` answers. ``first``: the deployment that would be asked now."""
    queue, owner = Queue(most), TaskOwner()

    async def execute(one: Line) -> tuple[Outcome, Pushback]:
        told = Pushback(served="b", pushed=pushed if first[0] == "a" else {})
        return Ended(line=one, completed=True, status=200, error_code="", body=b"{}", result_bytes=2), told

    def foresee(model: str) -> str:
        return first[0]

    runner = BatchRunner(queue, execute, owner, places=32, foresee=foresee)
    running: asyncio.Future[Any] = asyncio.ensure_future(runner.run())
    await asyncio.sleep(0.15)
    first[0] = "b" if first[0] == "a" else "a"
    await asyncio.sleep(0.15)
    runner.stop()
    await running
    await owner.close()
    return queue


async def test_a_rested_deployment_holds_its_own_lines_back_and_not_those_of_the_next() -> None:
    queue = await run(["a"], {"a": 60.0}, 1000)
    # While the next line would go to ``a``, which asked for a minute, nothing begins, although ``b`` answered the first ones.
    assert queue.rooms[0] > 0
    assert 0 in queue.rooms
    stood = queue.rooms.index(0)
    # As soon as ``b`` is the one that would be asked, they go on, at its pace.
    assert any(room > 0 for room in queue.rooms[stood:])


async def test_lines_that_go_to_the_first_again_keep_to_its_pace_and_not_to_that_of_who_answered_last() -> None:
    queue = await run(["b"], {"a": 60.0}, 100_000)
    assert max(queue.rooms) > 8, "b gets more and more while it answers"
    assert queue.rooms[-1] == 0, "a asked for a minute"
