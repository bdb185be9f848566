"""How many tokens a prompt has: asked of the provider where it can be asked in the caller's own format, else estimated here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llm_gateway.api.http import JSON, HttpCall, HttpReply, request_id, summary_headers
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.calls import Call
from llm_gateway.engine.tokens import count_chat
from llm_gateway.wires import Dialect
from llm_gateway.wiring import gateway

from ._generate import refuse


async def count(http: HttpCall, dialect: Dialect, path: Mapping[str, str], encode: Callable[[int], bytes]) -> HttpReply:
    """Free, and logged like every call. An estimate says so in ``x-cogo-usage-source: estimated``."""
    found = gateway()
    model = ""
    try:
        inbound = dialect.decode_request(await http.body(), path)
        model = inbound.model
    except GatewayError as error:
        await found.reject(kind="count_tokens", dialect=dialect.name, identity=http.identity, error=error, model=model, request_id=http.id)
        return refuse(dialect, error, http)
    call = Call(id=http.id, kind="count_tokens", identity=http.identity, inbound=inbound, headers=http.headers)
    try:
        if found.pipeline.speaks(call, dialect.name):
            answer = await found.pipeline.whole(call)
            return HttpReply(headers=(JSON, *summary_headers(answer.summary)), body=answer.body or b"{}")
        tokens = count_chat(inbound)
        await found.pipeline.note(call)
    except GatewayError as error:
        return refuse(dialect, error, http)
    mark = (b"x-cogo-usage-source", b"estimated")
    return HttpReply(headers=(JSON, (b"x-request-id", request_id(http.id).encode()), mark), body=encode(tokens))
