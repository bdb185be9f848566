"""How lines of a shard end that the provider did not answer: given back, uncharged, or lost, charged as held. Safe to repeat: a row ends
once, and a line that is not ours any more stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.batch_lane import Sent, not_sent, unheard
from llm_gateway.engine.batch_lines import Line, Outcome, Returned
from llm_gateway.engine.calls import Call
from llm_gateway.engine.ports import Opening, Settlement
from llm_gateway.engine.resolve import NAMED
from llm_gateway.policies.batches import GATEWAY, LOST, NOT_EXECUTED
from llm_gateway.stores import batch_queue, batch_shards
from llm_gateway.stores.batch_shards import Held, Row
from llm_gateway.wiring import Gateway

from .executing import bare

CHUNK = 50


class NotExecuted(GatewayError):
    """Log only: the gateway executes the line itself."""

    status, code, type = 503, NOT_EXECUTED, "server_error"


class ResultLost(GatewayError):
    """Log only: charged as held; the gateway executes the line itself."""

    status, code, type = 502, LOST, "server_error"


def opening_of(call: Call, row: Row, target: Target) -> Opening:
    """As it was committed; its budgets are in the ledger."""
    return Opening(
        call=call, at=row.at, hold_nusd=row.hold_nusd, budgets=(), target=target, strategy=NAMED, simulated=target.provider.simulated
    )


def sent_of(shard: Held) -> Sent:
    return Sent(remote=shard.remote, at=(shard.sent_at or shard.created_at).timestamp(), shard=shard.name)


async def settle(found: Gateway, settlements: Sequence[Settlement]) -> None:
    """Returns when all are committed; those that are rows of something ended stay as they are."""
    await asyncio.gather(*(found.journal.settle(one) for one in settlements))
    for one in settlements:
        for observer in found.pipeline.observers:
            observer.finished(one)


async def give_back(found: Gateway, shard: Held, target: Target, why: str, only: Sequence[Line] | None = None) -> None:
    """Nothing of these lines was executed: their rows end without a charge, and the gateway executes them. Without ``only`` all that are
    left, and the shard ends."""
    await _unheard(found, shard, target, NotExecuted(f"Not executed by the provider's batch API: {why}"), only, charged=False)
    if only is None:
        await found.threaded(batch_shards.end, shard, datetime.now(UTC), why)


async def lose(found: Gateway, shard: Held, target: Target, why: str, only: Sequence[Line] | None = None) -> None:
    """These lines may have been executed and nobody will tell: all that was held for them is charged, and the gateway executes each once
    more. Without ``only`` all that are left, and the shard ends."""
    await _unheard(found, shard, target, ResultLost(f"Lost by the provider's batch API: {why}"), only, charged=True)
    if only is None:
        await found.threaded(batch_shards.end, shard, datetime.now(UTC), why)


async def _unheard(found: Gateway, shard: Held, target: Target, error: GatewayError, only: Sequence[Line] | None, *, charged: bool) -> None:
    lines = await found.threaded(batch_shards.lines_of, shard) if only is None else only
    rows = await found.threaded(batch_shards.rows_of, lines)
    for start in range(0, len(lines), CHUNK):
        chunk = lines[start : start + CHUNK]
        ends = [
            unheard(opening_of(bare(line, found), rows[line.request_id], target), sent_of(shard), error, charged=charged).settlement
            for line in chunk
            if line.request_id in rows
        ]
        await settle(found, ends)
        if charged:
            await found.threaded(batch_shards.count_feared, shard, len(chunk))
        outcomes: list[Outcome] = [Returned(line=line, sent=charged, lane=GATEWAY) for line in chunk]
        await found.threaded(batch_queue.put, outcomes, datetime.now(UTC))


async def unsent(found: Gateway, shard: Held, target: Target, lines: Sequence[Line]) -> None:
    """Rows that were opened before a process died, which had not begun to send: they end without a charge. The lines are queued as if
    nothing had been."""
    rows = await found.threaded(batch_shards.rows_of, lines)
    error = NotExecuted("Its process died before the request was sent.")
    openings = [opening_of(bare(line, found), rows[line.request_id], target) for line in lines if line.request_id in rows]
    await settle(found, [not_sent(opening, error) for opening in openings])
    await found.threaded(batch_queue.put, [Returned(line=line) for line in lines], datetime.now(UTC))
