"""Large bodies are worked on beside the event loop, one at a time, and the callers who send them take turns."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import wait

import pytest

from llm_gateway.engine.heavy import LARGE_BYTES, Turns, away, working_for


def test_a_key_that_floods_waits_for_its_own_and_not_for_the_others() -> None:
    turns, order, gate = Turns(), [], threading.Event()
    waiting = [turns.submit(9, gate.wait)]
    waiting += [turns.submit(1, lambda n=n: order.append((1, n))) for n in range(20)]
    for other in (2, 3):
        waiting += [turns.submit(other, lambda other=other, n=n: order.append((other, n))) for n in range(2)]
    gate.set()
    wait(waiting)
    assert order[:6] == [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1)], "each in its turn, each caller's own in order"
    assert order[6:] == [(1, n) for n in range(2, 20)]


async def test_work_is_done_for_the_key_of_its_request() -> None:
    order: list[str] = []
    gate, begun = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        gate.wait()

    async def request(key: int, *names: str) -> None:
        working_for(key)
        await asyncio.gather(*(away(LARGE_BYTES, order.append, f"{key}{name}") for name in names))

    async def first() -> None:
        working_for(1)
        await away(LARGE_BYTES, hold)

    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        await asyncio.to_thread(begun.wait)
        group.create_task(request(1, "a", "b", "c"))
        group.create_task(request(2, "a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gate.set()
    assert order == ["1a", "2a", "1b", "1c"]


async def test_a_caller_who_left_costs_no_work_and_an_error_is_the_callers() -> None:
    gate, done = threading.Event(), []
    holding = asyncio.ensure_future(away(LARGE_BYTES, gate.wait))
    await asyncio.sleep(0)
    left = asyncio.ensure_future(away(LARGE_BYTES, done.append, "left"))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.sleep(0)
    gate.set()
    await holding
    with pytest.raises(ZeroDivisionError):
        await away(LARGE_BYTES, lambda: 1 // 0)
    assert not done
