"""Lines on their way into a shard: judged by the rights of now, their rows and holds committed, their bodies written for the provider."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.batch_lane import Ready, ready
from llm_gateway.engine.batch_lines import Line, Outcome
from llm_gateway.stores import batch_queue, batch_shards
from llm_gateway.stores.batch_shards import Held
from llm_gateway.wires import _batch_apis as apis
from llm_gateway.wiring import Gateway

from .executing import bare, one_call_of, refused
from .lane_ends import give_back, unsent
from .lane_target import target_of

_AT_ONCE = 64


async def open_lines(found: Gateway, shard: Held, target: Target) -> list[tuple[Line, Ready]]:
    """Those whose row and hold are committed. The others fail or wait as they would in the gateway lane: a refused budget pauses the
    batch, a revoked key fails the line."""
    lines = await found.threaded(batch_shards.lines_of, shard)
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(line: Line) -> Ready | Outcome:
        async with at_once:
            return await _opened(found, line, target)

    made = await asyncio.gather(*(one(line) for line in lines))
    opened = [(line, result) for line, result in zip(lines, made, strict=True) if isinstance(result, Ready)]
    outcomes = [result for result in made if not isinstance(result, Ready)]
    await found.threaded(batch_queue.put, outcomes, datetime.now(UTC))
    return opened


async def _opened(found: Gateway, line: Line, target: Target) -> Ready | Outcome:
    try:
        call = (await one_call_of(line, found)).call
        made = ready(call, target, found.catalog.snapshot(), datetime.now(UTC))
        await found.journal.open(made.opening)
    except GatewayError as error:
        await found.pipeline.reject(bare(line, found), error)
        return refused(line, error)[0]
    return made


async def undo_opening(found: Gateway, shard: Held) -> None:
    """Its process died while it wrote rows: nothing was sent."""
    lines = await found.threaded(batch_shards.lines_of, shard)
    await unsent(found, shard, target_of(shard, found.catalog.snapshot()), lines)
    await found.threaded(batch_shards.end, shard, datetime.now(UTC), "its process died before anything was sent")


async def bodies_of(found: Gateway, shard: Held, target: Target) -> list[apis.Line]:
    """What goes out for the lines of a shard, the same whenever it is asked for. Lines that cannot be sent any more are given back."""
    bodies, fallen = [], []
    for line in await found.threaded(batch_shards.lines_of, shard):
        try:
            call = (await one_call_of(line, found)).call
            bodies.append(apis.Line(line.request_id.hex, ready(call, target, found.catalog.snapshot(), datetime.now(UTC)).body))
        except GatewayError:
            fallen.append(line)
    if fallen:
        await give_back(found, shard, target, "it may not be sent any more", fallen)
    return bodies
