"""``Idempotency-Key`` on every generating route: one execution per key, and its answer for every duplicate (reliability.md C5 to C8).

A face claims before it runs, and ends the claim with what it answered. What began is finished although its caller leaves (api.detached).
Without the header nothing here is called.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID

import msgspec

from llm_gateway.core.catalog import BodyLogging
from llm_gateway.core.errors import GatewayError, IdempotencyInFlight, IdempotencyMismatch, IdempotencyUnknownOutcome
from llm_gateway.core.money import format_usd
from llm_gateway.core.sse import HEARTBEAT
from llm_gateway.engine.calls import Call
from llm_gateway.policies.idempotency import AGAIN_HEADER, HEADER, LARGEST_ANSWER, checked_key
from llm_gateway.stores.idempotency import IdempotencyStore, Standing, Stored, Wanted
from llm_gateway.wiring import gateway

from .detached import Execution, Handover
from .http import HttpCall, HttpReply, request_id

_OWN = frozenset({"x-request-id", "request-id", "x-cogo-cost", "content-length"})


class Claim:
    """This request executes. Exactly one of :meth:`finish` and :meth:`break_off` ends it."""

    def __init__(self, store: IdempotencyStore, request_id: UUID, keeps: bool) -> None:
        self._store = store
        self._request_id = request_id
        self.keeps = keeps
        self.open = True

    async def finish(self, answer: Stored | None, *, retryable: bool = False, calls: Sequence[UUID] = ()) -> None:
        """``answer`` ``None``: too large to keep."""
        if self.open:
            self.open = False
            refused = answer is not None and answer.status >= 400
            if answer is not None and not refused and (not self.keeps or len(answer.body) > LARGEST_ANSWER):
                answer = None
            await self._store.finish(self._request_id, answer, retryable=retryable, calls=calls)

    def break_off(self) -> None:
        """The execution ended without an answer: its log row says whether whoever comes back may execute anew."""
        if self.open:
            self.open = False
            self._store.break_off(self._request_id)

    async def pass_on(self, chunks: AsyncIterator[bytes], handover: Handover, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        """``chunks`` to the caller for as long as there is one, all of them into the record."""
        parts: list[bytes] = []
        size = 0
        async for chunk in chunks:
            if chunk != HEARTBEAT:
                size += len(chunk)
                parts.append(chunk)
                if size > LARGEST_ANSWER:
                    parts.clear()
            await handover.put(chunk)
        whole = b"".join(parts) if size <= LARGEST_ANSWER else None
        await self.finish(None if whole is None else Stored(status=status, headers=headers, body=whole))


async def claim(wanted: Wanted) -> Claim | Standing:
    """A :class:`Standing` holds the answer to repeat. Raises what the caller is told of its key."""
    found = gateway()
    standing = await found.idempotency.claim(msgspec.structs.replace(wanted, key=checked_key(wanted.key)))
    original = request_id(standing.original)
    details = {"original_request_id": original}
    match standing.verdict:
        case "take":
            return Claim(found.idempotency, wanted.request_id, wanted.identity.bodies is not BodyLogging.OFF)
        case "replay":
            return standing
        case "in_flight":
            raise IdempotencyInFlight("The first request with this idempotency key is still running.", retry_after_s=1, details=details)
        case "mismatch":
            raise IdempotencyMismatch(
                "This idempotency key was used for another request; send a new key with a new request.", details=details, param=HEADER
            )
        case _:
            raise IdempotencyUnknownOutcome(
                f"The first request with this idempotency key ({original}) was sent, but its answer cannot be repeated. Look it up, "
                f"then send a new key, or the same with `{AGAIN_HEADER}: true`: it may be paid for twice.",
                details=details,
            )


def again(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true", "yes")


def repeated(stored: Stored, original: UUID, replay_id: str) -> list[tuple[str, str]]:
    """Headers of a replay: the first answer's, this request's own id, and no cost."""
    headers = [(name, value) for name, value in stored.headers if name.lower() not in _OWN]
    return [
        *headers,
        ("x-request-id", replay_id),
        ("request-id", replay_id),
        ("x-cogo-cost", format_usd(0)),
        ("x-cogo-idempotent-replay", "true"),
        ("x-cogo-original-request", request_id(original)),
    ]


# The bare endpoints' way; the native views have theirs beside them.


async def reply_once(
    http: HttpCall, call: Call, body: bytes, run: Callable[[], Awaitable[HttpReply]], refuse: Callable[[GatewayError], HttpReply]
) -> HttpReply:
    """``run`` at most once per key. ``body``: as the caller's request is compared."""
    alt = http.query.get("alt", "")
    wanted = Wanted(
        identity=http.identity,
        key=http.headers[HEADER],
        route=f"{http.method} {http.path}?alt={alt} {call.strategy or ''}",
        body=body,
        request_id=http.id,
        model=call.inbound.model,
        again=again(http.headers.get(AGAIN_HEADER)),
    )
    try:
        held = await claim(wanted)
    except GatewayError as error:
        await gateway().pipeline.reject(call, error)
        return refuse(error)
    if isinstance(held, Standing):
        try:
            return await _replay(http, call, held)
        except GatewayError as error:
            return refuse(error)
    execution: Execution[HttpReply] = Execution(gateway().detached, held.keeps)
    return await execution.head(partial(_execute, held, run), f"execute {http.id}")


async def _execute(held: Claim, run: Callable[[], Awaitable[HttpReply]], execution: Execution[HttpReply]) -> None:
    """The one execution, whether or not its caller stays."""
    reply: HttpReply | None = None
    try:
        reply = await run()
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers)
        if reply.chunks is None:
            retryable = (b"x-should-retry", b"true") in reply.headers
            await held.finish(Stored(status=reply.status, headers=headers, body=reply.body), retryable=retryable)
            execution.show(reply)
            return

        async def closed(stalled: bool) -> None:
            execution.leave()  # nothing, once all was delivered

        execution.show(msgspec.structs.replace(reply, chunks=execution.taken(), close=closed))
        await held.pass_on(reply.chunks, execution.handover, reply.status, headers)
    finally:
        if held.open:
            held.break_off()
            if reply is not None and reply.close is not None:
                await reply.close(False)


async def _replay(http: HttpCall, call: Call, standing: Standing) -> HttpReply:
    stored = standing.stored
    assert stored is not None
    await gateway().replayed(call, standing.original, stored.status)
    headers = tuple(
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in repeated(stored, standing.original, request_id(http.id))
    )
    if call.stream and stored.status == 200:
        return HttpReply(status=200, headers=headers, chunks=whole(stored.body))
    return HttpReply(status=stored.status, headers=headers, body=stored.body)


async def whole(body: bytes) -> AsyncIterator[bytes]:
    """A stream of one piece."""
    yield body
