"""``Idempotency-Key`` on every generating route: one execution per key, and its answer for every duplicate (reliability.md C5 to C8).

A face claims before it runs, and ends the claim with what it answered. Without the header nothing here is called.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

from llm_gateway.core.catalog import BodyLogging
from llm_gateway.core.errors import GatewayError, IdempotencyInFlight, IdempotencyMismatch, IdempotencyUnknownOutcome
from llm_gateway.core.money import format_usd
from llm_gateway.engine.calls import Call
from llm_gateway.policies.idempotency import AGAIN_HEADER, HEADER, LARGEST_ANSWER, checked_key
from llm_gateway.stores.idempotency import IdempotencyStore, Standing, Stored, Wanted
from llm_gateway.wiring import gateway

from .http import HttpCall, HttpReply, request_id

_OWN = frozenset({"x-request-id", "request-id", "x-cogo-cost", "content-length"})


class Claim:
    """This request executes. Exactly one of :meth:`finish`, :meth:`drop` and the end of what :meth:`watched` returns ends it."""

    def __init__(self, store: IdempotencyStore, request_id: UUID, keeps: bool) -> None:
        self._store = store
        self._request_id = request_id
        self._keeps = keeps
        self.open = True

    async def finish(self, answer: Stored | None, *, retryable: bool = False, calls: Sequence[UUID] = ()) -> None:
        """``answer`` ``None``: too large to keep."""
        if self.open:
            self.open = False
            refused = answer is not None and answer.status >= 400
            if answer is not None and not refused and (not self._keeps or len(answer.body) > LARGEST_ANSWER):
                answer = None
            await self._store.finish(self._request_id, answer, retryable=retryable, calls=calls)

    def drop(self) -> None:
        """Nobody got an answer: the caller left, so that whoever comes back executes anew."""
        if self.open:
            self.open = False
            self._store.release_soon(self._request_id)

    def watched(self, chunks: AsyncIterator[bytes], status: int, headers: tuple[tuple[str, str], ...]) -> Watched:
        """``chunks``, remembered as they pass."""
        return Watched(self, chunks, status, headers)


class Watched:
    """No generator: one that is never stepped could not give its claim back."""

    def __init__(self, claim: Claim, chunks: AsyncIterator[bytes], status: int, headers: tuple[tuple[str, str], ...]) -> None:
        self._claim = claim
        self._chunks = chunks
        self._status = status
        self._headers = headers
        self._parts: list[bytes] = []
        self._size = 0
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> Watched:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            whole = b"".join(self._parts) if self._size <= LARGEST_ANSWER else None
            await self._claim.finish(None if whole is None else Stored(status=self._status, headers=self._headers, body=whole))
            raise
        except BaseException:
            self._claim.drop()
            raise
        self._size += len(chunk)
        if self._size <= LARGEST_ANSWER:
            self._parts.append(chunk)
        else:
            self._parts.clear()
        return chunk

    async def aclose(self) -> None:
        self._claim.drop()
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()

    def __del__(self) -> None:
        if self._claim.open and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._claim.drop)


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
    try:
        reply = await run()
    except BaseException:
        held.drop()
        raise
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers)
    if reply.chunks is None:
        retryable = (b"x-should-retry", b"true") in reply.headers
        await held.finish(Stored(status=reply.status, headers=headers, body=reply.body), retryable=retryable)
        return reply
    return msgspec.structs.replace(reply, chunks=held.watched(reply.chunks, reply.status, headers), close=_closing(held, reply.close))


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


def _closing(held: Claim, close: Callable[[bool], Awaitable[None]] | None) -> Callable[[bool], Awaitable[None]]:
    async def closed(stalled: bool) -> None:
        held.drop()  # nothing, once all was delivered
        if close is not None:
            await close(stalled)

    return closed
