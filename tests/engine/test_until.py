"""A deadline ends what it bounds, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from llm_gateway.engine.until import Until


def soon(seconds: float = 0.005) -> float:
    return asyncio.get_running_loop().time() + seconds


async def slow(when: float, *, forward: bool = False) -> None:
    with Until(when) as until:
        if forward:
            asyncio.get_running_loop().call_soon(until.pass_now)
        await asyncio.sleep(5)


async def test_what_takes_too_long_is_cancelled_and_the_task_goes_on() -> None:
    for when in (soon(), soon(-5)):
        with pytest.raises(TimeoutError):
            await slow(when)
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_it_may_be_brought_forward_by_somebody_else() -> None:
    with pytest.raises(TimeoutError):
        await slow(soon(60), forward=True)


async def test_after_its_end_it_has_no_effect() -> None:
    with Until(soon(0.001)):
        await asyncio.sleep(0)
    with Until(soon(60)) as until:
        until.pass_now()
    await asyncio.sleep(0.01)


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    async def bounded(late: bool) -> None:
        with Until(soon(0 if late else 60)):
            await asyncio.sleep(60)

    for late in (False, True):
        task = asyncio.ensure_future(bounded(late))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()


async def test_an_error_stays_what_it_is() -> None:
    with pytest.raises(KeyError), Until(soon(60)):
        raise KeyError
