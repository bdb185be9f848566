"""One generating request in any dialect: decode, run, encode."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from llm_gateway.api.http import EVENTS, JSON, NO_CACHE, HttpCall, HttpReply, error_headers, request_id, stream_headers, summary_headers
from llm_gateway.core.catalog import Scope
from llm_gateway.core.errors import GatewayError, PermissionDenied
from llm_gateway.core.sse import HEARTBEAT
from llm_gateway.engine.calls import Call, StreamAnswer
from llm_gateway.policies.deadline import DEADLINE_HEADER, parse_deadline
from llm_gateway.wires import Dialect, Inbound, Reply
from llm_gateway.wiring import Gateway, gateway


async def generate(http: HttpCall, dialect: Dialect, path: Mapping[str, str], *, scope: Scope = Scope.GENERATE) -> HttpReply:
    """The whole walk. Never raises: every error becomes the dialect's own."""
    found = gateway()
    model = ""
    try:
        body = await http.body()
        inbound = dialect.decode_request(body, path)
        model = inbound.model
        if scope not in http.identity.scopes:
            raise PermissionDenied(f"This key lacks the scope `{scope.value}`; ask the gateway's operator for one that has it.")
        deadline_s = parse_deadline(http.headers.get(DEADLINE_HEADER))
    except GatewayError as error:
        await found.reject(kind=path["kind"], dialect=dialect.name, identity=http.identity, error=error, model=model, request_id=http.id)
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
    )
    try:
        if inbound.stream:
            return _streaming(http, dialect, inbound, await found.pipeline.stream(call))
        return await _whole(http, dialect, call, found)
    except GatewayError as error:
        return refuse(dialect, error, http)


def refuse(dialect: Dialect, error: GatewayError, http: HttpCall) -> HttpReply:
    status, body = dialect.encode_error(error, request_id(http.id))
    return HttpReply(status=status, headers=error_headers(error, http.id), body=body)


async def _whole(http: HttpCall, dialect: Dialect, call: Call, found: Gateway) -> HttpReply:
    answer = await found.pipeline.whole(call)
    if answer.body is not None:
        body = answer.body
    else:
        assert answer.response is not None
        body = dialect.encode_response(answer.response, _reply(http, answer.summary.served_model, call.inbound))
    return HttpReply(headers=(JSON, *summary_headers(answer.summary)), body=body)


def _streaming(http: HttpCall, dialect: Dialect, inbound: Inbound, answer: StreamAnswer) -> HttpReply:
    if answer.passthrough:
        chunks = _passed(dialect, inbound, answer, http)
    else:
        chunks = _translated(dialect, inbound, answer, http)
    return HttpReply(headers=(EVENTS, *NO_CACHE, *stream_headers(answer)), chunks=chunks, heartbeat=HEARTBEAT)


async def _passed(dialect: Dialect, inbound: Inbound, answer: StreamAnswer, http: HttpCall) -> AsyncIterator[bytes]:
    """The provider's own bytes, but for the usage frame that only we asked for."""
    hide = not inbound.include_usage
    try:
        async with aclosing(answer.frames) as frames:  # type: ignore[type-var]  # an async generator, which has aclose
            async for batch in frames:
                data = b"".join([frame.raw for frame in batch if not (hide and frame.usage_only)])
                if data:
                    yield data
    except GatewayError as error:
        yield dialect.stream_encoder(_reply(http, answer.model, inbound)).error(error)


async def _translated(dialect: Dialect, inbound: Inbound, answer: StreamAnswer, http: HttpCall) -> AsyncIterator[bytes]:
    encoder = dialect.stream_encoder(_reply(http, answer.model, inbound))
    try:
        async with aclosing(answer.frames) as frames:  # type: ignore[type-var]
            async for batch in frames:
                data = encoder.encode(event for frame in batch for event in frame.events)
                if data:
                    yield data
    except GatewayError as error:
        yield encoder.error(error)


def _reply(http: HttpCall, model: str, inbound: Inbound) -> Reply:
    return Reply(request_id=request_id(http.id), model=model, created=int(time.time()), include_usage=inbound.include_usage)
