"""How many tokens a prompt has: asked of the provider where it counts for free, in whatever format, else estimated here."""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.api.http import JSON, HttpCall, HttpReply, id_headers, summary_headers
from llm_gateway.core.errors import CallerLeft, GatewayError, ModelNotFound, UpstreamError
from llm_gateway.engine.calls import Call, WholeAnswer
from llm_gateway.engine.heavy import away
from llm_gateway.engine.tokens import count_chat
from llm_gateway.wires import Dialect, counters
from llm_gateway.wiring import gateway

from ._generate import Keeper, read, refuse

_ESTIMATED = (b"x-cogo-usage-source", b"estimated")
_REPORTED = (b"x-cogo-usage-source", b"reported")


async def count(http: HttpCall, dialect: Dialect, path: Mapping[str, str], keeper: Keeper | None = None) -> HttpReply:
    """Free, and logged like every call. ``x-cogo-usage-source`` says whether the figure is the provider's."""
    found = gateway()
    model = ""
    try:
        body = await http.body()
        inbound = await away(len(body), read, body, dialect, path, keeper)
        model = inbound.model
    except (GatewayError, ConnectionError) as raised:
        error = raised if isinstance(raised, GatewayError) else CallerLeft("The caller left before its request was complete.")
        await found.reject(
            kind="count_tokens",
            dialect=dialect.name,
            identity=http.identity,
            error=error,
            model=model,
            request_id=http.id,
            address=http.address,
        )
        return refuse(dialect, error, http)
    call = Call(id=http.id, kind="count_tokens", identity=http.identity, inbound=inbound, headers=http.headers, address=http.address)
    try:
        asked = found.pipeline.counts(call)
        if asked:
            reply = await _asked(dialect, call)
            if reply is not None:
                return reply
        tokens = await away(inbound.size, count_chat, inbound)
        if not asked:
            await found.pipeline.note(call)
    except GatewayError as error:
        return refuse(dialect, error, http)
    headers = (JSON, *id_headers(http.id), _ESTIMATED)
    return HttpReply(headers=headers, body=counters.get(dialect.name).encode_response(tokens))


async def _asked(dialect: Dialect, call: Call) -> HttpReply | None:
    """The provider's count; ``None`` where it has none to give just now. Raises what is the caller's own fault."""
    try:
        answer: WholeAnswer = await gateway().pipeline.whole(call)
    except UpstreamError as error:
        if error.status == 400:
            raise
        return None
    except ModelNotFound:
        return None  # the plan knew the model, so it is the endpoint that the host lacks
    body = answer.body or b""
    wire = answer.summary.target.provider.wire if answer.summary.target else dialect.name
    if wire != dialect.name:
        tokens = counters.get(wire).decode_response(body)
        if tokens is None:
            return None
        body = counters.get(dialect.name).encode_response(tokens)
    return HttpReply(headers=(JSON, *summary_headers(answer.summary), _REPORTED), body=body)
