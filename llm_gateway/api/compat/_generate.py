"""One generating request in any dialect: decode, run, encode."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Protocol

from llm_gateway.api.http import (
    EVENTS,
    JSON,
    NO_CACHE,
    HttpCall,
    HttpReply,
    ascii_header,
    error_headers,
    id_headers,
    request_id,
    stream_headers,
    summary_headers,
    tag_of,
)
from llm_gateway.api.idempotent import reply_once
from llm_gateway.core.caching import CacheNote
from llm_gateway.core.catalog import SUBJECT_CHARS, BodyLogging, Scope, Target
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import AttemptFailed, CallerLeft, GatewayError, PermissionDenied, from_failure
from llm_gateway.core.events import Done
from llm_gateway.core.sse import HEARTBEAT
from llm_gateway.engine.calls import Call, StreamAnswer, WholeAnswer
from llm_gateway.engine.heavy import LARGE_BYTES, away
from llm_gateway.engine.prepare import model_facts
from llm_gateway.policies.deadline import DEADLINE_HEADER, parse_deadline
from llm_gateway.policies.hold import estimate_tokens
from llm_gateway.policies.idempotency import HEADER
from llm_gateway.wires import Dialect, Inbound, Reply, WayBack, embedders, fitted, left_out, wires
from llm_gateway.wiring import Gateway, gateway

from . import _scored


class Keeper(Protocol):
    """What a dialect with memory does beside the walk: ``complete`` a request from what was kept, see the answer as the caller gets it."""

    def complete(self, inbound: Inbound) -> Inbound: ...
    def whole(self, target: Target | None, body: bytes) -> None: ...
    def watched(self, target: Target | None, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]: ...


async def generate(
    http: HttpCall, dialect: Dialect, path: Mapping[str, str], *, scope: Scope = Scope.GENERATE, keeper: Keeper | None = None
) -> HttpReply:
    """The whole walk. Never raises: every error becomes the dialect's own."""
    found = gateway()
    model = ""
    try:
        body = await http.body()
        given = body, dialect, path, keeper
        inbound = read(*given) if len(body) < LARGE_BYTES else await away(len(body), read, *given)
        model = inbound.model
        if scope not in http.identity.scopes:
            raise PermissionDenied(f"This key lacks the scope `{scope.value}`; ask the gateway's operator for one that has it.")
        deadline_s = parse_deadline(http.headers.get(DEADLINE_HEADER))
        _scored.wished(http.headers)
    except (GatewayError, ConnectionError) as raised:
        error = raised if isinstance(raised, GatewayError) else CallerLeft("The caller left before its request was complete.")
        await found.reject(
            kind=path["kind"],
            dialect=dialect.name,
            identity=http.identity,
            error=error,
            model=model,
            request_id=http.id,
            address=http.address,
        )
        return refuse(dialect, error, http)
    call = Call(
        id=http.id,
        kind=inbound.kind,
        identity=http.identity,
        inbound=inbound,
        stream=inbound.stream,
        deadline_s=deadline_s,
        headers=http.headers,
        strategy=http.headers.get("x-cogo-strategy"),
        sticky=http.headers.get("x-cogo-session", ""),
        tag=tag_of(http.headers),
        address=http.address,
        metadata=subject_of(http, inbound),
    )
    if HEADER in http.headers:
        return await reply_once(http, call, body, partial(_answer, http, dialect, call, found, keeper), partial(refuse, dialect, http=http))
    return await _answer(http, dialect, call, found, keeper)


def read(body: bytes, dialect: Dialect, path: Mapping[str, str], keeper: Keeper | None) -> Inbound:
    """Raises the caller's own errors. Of a large body, everything that its answer needs is read now, away from the event loop."""
    inbound = dialect.decode_request(body, path)
    if keeper is not None:
        inbound = keeper.complete(inbound)
    if inbound.kind == "chat" and len(body) >= LARGE_BYTES:
        _chat(inbound)
    return inbound


def subject_of(http: HttpCall, inbound: Inbound) -> dict[str, str] | None:
    """Whom the caller asks for, so that what is kept of them can be found and erased; not where the team wants nothing kept."""
    if not inbound.user or http.identity.bodies is BodyLogging.OFF:
        return None
    return {"user_id": inbound.user[:SUBJECT_CHARS]}


async def _answer(http: HttpCall, dialect: Dialect, call: Call, found: Gateway, keeper: Keeper | None) -> HttpReply:
    try:
        if call.stream:
            return _streaming(http, dialect, call, await found.pipeline.stream(call), found, keeper)
        answer = await found.pipeline.whole(call)
        body = _told(http, dialect, call, answer, keeper)
        shown: tuple[tuple[bytes, bytes], ...] = ()
        if _scored.wished(http.headers):
            body, shown = await _scored.whole(found, call, answer, body)
        warned = _warnings(call.inbound, answer.summary.target)
        return HttpReply(headers=(JSON, *summary_headers(answer.summary), *warned, *shown), body=body)
    except GatewayError as error:
        return _own_refusal(http, dialect, call, error) if error.status < 400 else refuse(dialect, error, http)


def _own_refusal(http: HttpCall, dialect: Dialect, call: Call, error: GatewayError) -> HttpReply:
    """The provider refused with an answer of the caller's own format: the caller reads it as if it had asked the provider itself."""
    if not call.stream:
        return HttpReply(headers=(JSON, *id_headers(http.id)), body=dialect.encode_error(error, request_id(http.id))[1])
    kind = JSON if call.inbound.stream_form == "array" else EVENTS
    told = dialect.stream_encoder(_reply(http, call.inbound.model, call.inbound)).error(error)
    return HttpReply(headers=(kind, *NO_CACHE, *id_headers(http.id)), body=told)


def refuse(dialect: Dialect, error: GatewayError, http: HttpCall) -> HttpReply:
    status, body = dialect.encode_error(error, request_id(http.id))
    return HttpReply(status=status, headers=error_headers(error, http.id), body=body)


def _told(http: HttpCall, dialect: Dialect, call: Call, answer: WholeAnswer, keeper: Keeper | None) -> bytes:
    body = body_of(http, dialect, call.inbound, answer)
    if keeper is not None:
        keeper.whole(_maker(answer.summary.target, answer.summary.cache), body)
    return body


def body_of(http: HttpCall, dialect: Dialect, inbound: Inbound, answer: WholeAnswer) -> bytes:
    wire = answer.summary.target.provider.wire if answer.summary.target else dialect.name
    if answer.body is not None and (wire == dialect.name or inbound.embedding is None):
        return answer.body
    reply = _reply(http, answer.summary.served_model, inbound)
    if answer.body is not None:
        assert inbound.embedding is not None
        try:
            vectors, used = embedders.get(wire).decode_response(answer.body)
        except AttemptFailed as error:
            raise from_failure(error.failure) from None
        return embedders.get(dialect.name).encode_response(vectors, used, inbound.embedding(), reply)
    response = answer.response
    assert response is not None
    assert answer.summary.target is not None
    return dialect.encode_response(_way_back(reply, answer.summary.target).whole(response), reply)


def _streaming(http: HttpCall, dialect: Dialect, call: Call, answer: StreamAnswer, found: Gateway, keeper: Keeper | None) -> HttpReply:
    inbound = call.inbound
    array = inbound.stream_form == "array"
    heard = _scored.Listening(answer.frames) if not array and _scored.wished(http.headers) else None
    if heard is not None:
        answer.frames = heard
    chunks = (_passed if answer.passthrough else _translated)(dialect, inbound, answer, http)
    if keeper is not None:
        chunks = keeper.watched(_maker(answer.target, answer.cache), chunks)
    if heard is not None:
        chunks = _scored.ended(found, call, answer, heard, chunks)
    return HttpReply(
        headers=(JSON if array else EVENTS, *NO_CACHE, *stream_headers(answer), *_warnings(inbound, answer.target)),
        chunks=chunks,
        heartbeat=b"\n" if array else HEARTBEAT,
        close=answer.frames.aclose,
    )


def _maker(target: Target | None, cache: CacheNote | None) -> Target | None:
    """Whose provider has made this answer, and may remember it: nobody's, where it came out of the cache."""
    return None if cache is not None and cache.origin else target


async def _passed(dialect: Dialect, inbound: Inbound, answer: StreamAnswer, http: HttpCall) -> AsyncIterator[bytes]:
    """The provider's own bytes, but for the usage frame that only we asked for and frames that break the format."""
    hide = not inbound.include_usage
    last = b""
    try:
        async for batch in answer.frames:
            data = b"".join([frame.shown for frame in batch if not (hide and frame.usage_only)])
            if batch and not batch[-1].raw and any(isinstance(event, Done) for event in batch[-1].events):
                # The provider had finished but left its end mark out.
                data += _apart(data or last) + wires.get(dialect.name).end_mark
            if data:
                last = data
                yield data
    except GatewayError as error:
        yield _apart(last) + dialect.stream_encoder(_reply(http, answer.model, inbound)).error(error)


def _apart(data: bytes) -> bytes:
    """What keeps the next event apart from bytes that a provider broke off in the middle of an event."""
    return b"" if not data or data.endswith((b"\n\n", b"\r\r", b"\r\n\r\n")) else b"\n\n"


async def _translated(dialect: Dialect, inbound: Inbound, answer: StreamAnswer, http: HttpCall) -> AsyncIterator[bytes]:
    reply = _reply(http, answer.model, inbound)
    encoder = dialect.stream_encoder(reply)
    back = _way_back(reply, answer.target)
    try:
        async for batch in answer.frames:
            data = encoder.encode(back.events(event for frame in batch for event in frame.events))
            if data:
                yield data
    except GatewayError as error:
        yield encoder.encode(back.rest()) + encoder.error(error)


def _reply(http: HttpCall, model: str, inbound: Inbound) -> Reply:
    return Reply(
        request_id=request_id(http.id),
        model=model,
        created=int(time.time()),
        include_usage=inbound.include_usage,
        chat=_chat(inbound),
        stream_form=inbound.stream_form,
        now=time.time,
        prompt_tokens=estimate_tokens(inbound.size),
    )


def _chat(inbound: Inbound) -> ChatRequest | None:
    """The conversation, where it can be read; what passed through on its own wire may hold what we do not know."""
    try:
        return inbound.chat()
    except GatewayError:
        return None


def _way_back(reply: Reply, target: Target) -> WayBack:
    facts, wire = model_facts(target), target.provider.wire
    stops = fitted(reply.chat, wire, facts).cuts if reply.chat and reply.chat.stop else ()
    return WayBack(reply.chat, wires.get(wire), facts.issuer, stops)


def _warnings(inbound: Inbound, target: Target | None) -> tuple[tuple[bytes, bytes], ...]:
    """What a translation left out, and what the gateway did in the provider's stead, by name."""
    if target is None:
        return ()
    wire = target.provider.wire
    if inbound.embedding is not None:
        names = inbound.embedding().left_out if inbound.dialect != wire else ()
        return _named(b"x-cogo-left-out", names)
    if inbound.kind != "chat" or (inbound.dialect == wire and model_facts(target).stop):
        return ()
    chat = _chat(inbound)
    if chat is None:
        return ()
    facts = model_facts(target)
    names = left_out(chat, facts, wire) if inbound.dialect != wire else ()
    cuts = fitted(chat, wire, facts).cuts
    return (*_named(b"x-cogo-left-out", names), *_named(b"x-cogo-emulated", ("stop",) if cuts else ()))


def _named(header: bytes, names: tuple[str, ...]) -> tuple[tuple[bytes, bytes], ...]:
    return ((header, ascii_header(", ".join(names)[:500])),) if names else ()
