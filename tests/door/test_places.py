"""Places of the process: handed over to whoever waits longest, lost by nobody, whoever is cancelled when."""

from __future__ import annotations

import asyncio

import pytest

from cogo.places import Places
from llm_gateway.core.errors import Overloaded


async def waiting(places: Places, number: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.ensure_future(places.take()) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def test_a_free_place_goes_to_who_waited_longest_and_nobody_passes_by() -> None:
    places = Places(1)
    await places.take()
    first, second = await waiting(places, 2)
    places.leave()
    assert places.inside == 1, "taken at once: who comes now cannot have it"
    with pytest.raises(Overloaded):
        await places.take()
    assert first.done()
    assert isinstance(second.exception(), Overloaded)
    places.leave()
    assert places.inside == 0


async def test_who_is_cancelled_with_a_place_in_hand_passes_it_on() -> None:
    places = Places(1)
    await places.take()
    first, second = await waiting(places, 2)
    places.leave()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.wait_for(second, 0.02)
    assert places.inside == 1
    places.leave()
    assert places.inside == 0


async def test_who_is_cancelled_while_waiting_takes_nothing() -> None:
    places = Places(1)
    await places.take()
    first, second = await waiting(places, 2)
    first.cancel()
    await asyncio.sleep(0)
    places.leave()
    await asyncio.wait_for(second, 0.02)
    assert (first.cancelled(), places.inside) == (True, 1)


async def test_a_limit_that_rises_lets_everybody_in_for_whom_there_is_room() -> None:
    places = Places(8)
    places._limit = 1.0
    await places.take()
    tasks = await waiting(places, 3)
    places._limit = 8.0
    places.leave()
    await asyncio.gather(*tasks)
    assert places.inside == 3


async def test_places_balance_whatever_is_cancelled_when() -> None:
    for moment in range(12):
        places = Places(2)
        tasks = [asyncio.ensure_future(held(places)) for _ in range(12)]
        for _ in range(moment):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert places.inside == 0, moment
        await places.take()


async def held(places: Places) -> None:
    await places.take()
    try:
        await asyncio.sleep(0)
    finally:
        places.leave()
