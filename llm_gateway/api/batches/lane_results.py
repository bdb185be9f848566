"""What a provider's batch brought, line by line, into the same rows and results that the gateway lane writes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.batch_calls import ask
from llm_gateway.engine.batch_lane import End, answered, api_of, ready, refused, unheard
from llm_gateway.engine.batch_lines import Line, Outcome, Returned
from llm_gateway.engine.ports import Settlement
from llm_gateway.policies.batches import GATEWAY
from llm_gateway.stores import batch_queue, batch_shards
from llm_gateway.stores.batch_shards import Held, Row
from llm_gateway.wires._batch_apis import NotUnderstood, Told, ToldLine
from llm_gateway.wiring import Gateway

from .executing import OneCall, bare, ended, failed, one_call_of
from .lane_ends import CHUNK, NotExecuted, lose, opening_of, sent_of, settle


class NotYet(Exception):
    """Results that could not be had; a sentence for the operator."""


async def fetched(found: Gateway, target: Target, told: Told) -> tuple[dict[str, ToldLine], bool]:
    """By name, the first that was told of each line; and whether all could be read. Raises :class:`NotYet`."""
    api = api_of(target)
    assert api is not None
    bodies = [told.inline] if told.inline else []
    for step in told.results:
        answer = await ask(found.upstream, target, step)
        if not answer.good:
            raise NotYet(f"results could not be had: {answer.said(target)}")
        bodies.append(answer.body)
    lines: dict[str, ToldLine] = {}
    whole = True
    for body in bodies:
        try:
            for one in api.read(body):
                if one is None:
                    whole = False
                else:
                    lines.setdefault(one.name, one)
        except NotUnderstood as error:
            raise NotYet(f"results could not be read: {error}") from None
    return lines, whole


async def end_lines(found: Gateway, shard: Held, target: Target, told: Mapping[str, ToldLine]) -> bool:
    """Every line of the shard that has not ended. One without a result is lost. Whether the results name any line of it."""
    lines = await found.threaded(batch_shards.lines_of, shard)
    rows = await found.threaded(batch_shards.rows_of, lines)
    here = [line for line in lines if line.request_id.hex in told and line.request_id in rows]
    for start in range(0, len(here), CHUNK):
        settlements: list[Settlement] = []
        outcomes: list[Outcome] = []
        for line in here[start : start + CHUNK]:
            settlement, outcome = await _ended(found, shard, target, line, rows[line.request_id], told[line.request_id.hex])
            settlements.append(settlement)
            outcomes.append(outcome)
        # The money first: a kill in between repeats this, and a row ends once.
        await settle(found, settlements)
        await found.threaded(batch_queue.put, outcomes, datetime.now(UTC))
    missing = [line for line in lines if line.request_id.hex not in told or line.request_id not in rows]
    if missing:
        await lose(found, shard, target, "the results do not have it", missing)
    return bool(here)


async def _ended(found: Gateway, shard: Held, target: Target, line: Line, row: Row, told: ToldLine) -> tuple[Settlement, Outcome]:
    sent = sent_of(shard)
    if told.state in ("expired", "cancelled"):
        error = NotExecuted(f"The provider's batch {told.state} before the request was executed.")
        end = unheard(opening_of(bare(line, found), row, target), sent, error, charged=False)
        return end.settlement, Returned(line=line, lane=GATEWAY)
    one: OneCall | GatewayError
    try:
        one = await one_call_of(line, found, judged=False)
    except GatewayError as error:
        one = error
    call = bare(line, found) if isinstance(one, GatewayError) else one.call
    opening = opening_of(call, row, target)
    if told.state == "failed":
        end = refused(opening, sent, told.status, told.body)
    else:
        end = answered(opening, sent, told.body, _passes_through(found, one, target))
    return end.settlement, await _outcome(line, end, one)


async def _outcome(line: Line, end: End, one: OneCall | GatewayError) -> Outcome:
    if isinstance(one, GatewayError):
        return failed(line, one)
    if end.answer is not None:
        try:
            body = await one.written(end.answer)
        except GatewayError as error:
            return failed(line, error)
        return ended(line, True, 200, "", body, (end.answer.summary,))
    assert end.error is not None
    if end.error.retryable:
        return Returned(line=line, sent=True, lane=GATEWAY)
    return failed(line, end.error)


def _passes_through(found: Gateway, one: OneCall | GatewayError, target: Target) -> bool:
    """Whether the answer is in the caller's own format, and may go there as it is."""
    if isinstance(one, GatewayError):
        return False
    try:
        return ready(one.call, target, found.catalog.snapshot(), datetime.now(UTC)).passthrough
    except GatewayError:
        return False
