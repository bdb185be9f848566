"""The seam between an execution and its caller, without a gateway."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from llm_gateway.api.detached import DEPTH, Execution
from llm_gateway.engine.tasks import Detached, TaskOwner

HEAD = "head"


class Work:
    """Hands over ``count`` chunks; ``ended`` once all of them were put."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.put = 0
        self.ended = asyncio.Event()
        self.broken_off = False

    async def __call__(self, execution: Execution[Any]) -> None:
        try:
            execution.show((HEAD, execution.taken()))
            for number in range(self._count):
                await execution.handover.put(b"%d" % number)
                self.put = number + 1
        except asyncio.CancelledError:
            self.broken_off = True
            raise
        finally:
            self.ended.set()


async def begun(work: Work, *, most: int = 10, keeps: bool = True) -> tuple[Any, Detached, TaskOwner]:
    owner = TaskOwner()
    detached = Detached(owner, most)
    head, taken = await Execution[Any](detached, keeps).head(work, "test")
    assert head == HEAD
    return taken, detached, owner


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_it_is_no_more_than_a_few_chunks_ahead_of_a_caller_that_is_slow() -> None:
    work = Work(100)
    taken, detached, _ = await begun(work)
    await settled()
    assert work.put == DEPTH
    assert [await anext(taken) for _ in range(3)] == [b"0", b"1", b"2"]
    await settled()
    assert work.put == DEPTH + 3
    assert [chunk async for chunk in taken] == [b"%d" % number for number in range(3, 100)]
    await settled()
    assert (detached.alone, len(detached)) == (0, 0)


@pytest.mark.parametrize("how", ["closed", "dropped"])
async def test_it_runs_to_its_end_for_a_caller_that_left(how: str) -> None:
    work = Work(100)
    taken, detached, _ = await begun(work)
    await settled()
    if how == "closed":
        await taken.aclose()
    del taken
    gc.collect()
    await asyncio.wait_for(work.ended.wait(), 5)
    await settled()
    assert (work.put, work.broken_off, detached.alone) == (100, False, 0)


@pytest.mark.parametrize(("most", "keeps"), [(0, True), (10, False)])
async def test_it_is_broken_off_without_a_place_or_where_nothing_may_be_kept(most: int, keeps: bool) -> None:
    work = Work(100)
    taken, detached, _ = await begun(work, most=most, keeps=keeps)
    await settled()
    await taken.aclose()
    await asyncio.wait_for(work.ended.wait(), 5)
    await settled()
    assert (work.broken_off, len(detached)) == (True, 0)


async def test_what_fails_before_its_head_fails_at_its_caller() -> None:
    async def fails(_: Execution[Any]) -> None:
        raise ValueError("no head")

    with pytest.raises(ValueError, match="no head"):
        await Execution[Any](Detached(TaskOwner(), 1), keeps=True).head(fails, "test")
