"""``Idempotency-Key`` on the native views: the same rules as everywhere (api.idempotent), with Django's answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from llm_gateway.api import idempotent, refusal
from llm_gateway.api.detached import Execution
from llm_gateway.api.idempotent import Claim
from llm_gateway.core import json
from llm_gateway.core.catalog import Identity
from llm_gateway.policies.idempotency import AGAIN_HEADER, HEADER
from llm_gateway.stores.idempotency import Standing, Stored, Wanted
from llm_gateway.wiring import gateway

from .errors import as_gateway_error, request_id
from .sse import EventStream

if TYPE_CHECKING:
    from .calling import GeneratingView

Handler = Callable[..., Awaitable[Any]]


def asked_for(view: GeneratingView) -> bool:
    """Whether the caller wants one execution of what calls a provider."""
    request = view.request
    return bool(view.kind) and request.method == "POST" and HEADER in request._request.headers


def once(view: GeneratingView, handler: Handler) -> Handler:
    """``handler``, executed at most once per key."""

    async def handle(request: Request, *args: Any, **kwargs: Any) -> Any:
        plain = request._request
        id_ = request_id(request)
        wanted = Wanted(
            identity=view.identity,
            key=plain.headers[HEADER],
            route=f"POST {plain.path.rstrip('/')}",
            body=plain.body,
            request_id=id_,
            model=_model(plain.body),
            user_id=view.user_id,
            again=idempotent.again(plain.headers.get(AGAIN_HEADER)),
        )
        held = await idempotent.claim(wanted)
        if isinstance(held, Standing):
            return await _replay(view, view.identity, held)
        execution: Execution[Any] = Execution(gateway().detached, held.keeps)
        return await execution.head(partial(_execute, view, held, partial(handler, request, *args, **kwargs)), f"execute {id_}")

    return handle


async def _execute(view: GeneratingView, held: Claim, run: Callable[[], Awaitable[Any]], execution: Execution[Any]) -> None:
    """The one execution, whether or not its caller stays."""
    id_ = request_id(view.request)
    answer: Any = None
    source: AsyncGenerator[bytes, None] | None = None
    try:
        try:
            answer = await run()
        except Exception as exc:  # as DRF's boundary will tell it
            error = as_gateway_error(exc)
            told = Stored(
                status=error.status, headers=tuple(refusal.headers(error, id_).items()), body=json.dumps(refusal.native_body(error, id_))
            )
            await held.finish(told, retryable=error.retryable, calls=view.calls)
            raise
        if isinstance(answer, EventStream):
            source = answer.hand_over(execution.taken())
            status, headers = answer.status_code, tuple(answer.headers.items())
            execution.show(answer)
            answer = None  # held here, it would not be noticed when the caller's side drops it
            await held.pass_on(source, execution.handover, status, headers)
            return
        data = answer.data if isinstance(answer, Response) else msgspec.to_builtins(answer)
        status, headers = (answer.status_code, tuple(answer.headers.items())) if isinstance(answer, Response) else (200, ())
        await held.finish(Stored(status=status, headers=headers, body=json.dumps(data)), calls=view.calls)
        execution.show(answer)
    finally:
        held.break_off()  # nothing, once it was finished
        if source is not None:
            await source.aclose()


async def _replay(view: GeneratingView, identity: Identity, standing: Standing) -> HttpResponseBase:
    stored = standing.stored
    assert stored is not None
    id_ = request_id(view.request)
    streamed = any(name.lower() == "content-type" and value.startswith("text/event-stream") for name, value in stored.headers)
    found = gateway()
    call = found.bare_call(
        kind=view.kind,
        dialect="native",
        identity=identity,
        model=standing.model,
        request_id=id_,
        user_id=view.user_id,
        stream=streamed,
        address=view.address,
    )
    await found.replayed(call, standing.original, stored.status)
    answer: HttpResponseBase
    if streamed:
        answer = StreamingHttpResponse(idempotent.whole(stored.body), content_type="text/event-stream; charset=utf-8")
    else:
        answer = HttpResponse(stored.body, status=stored.status, content_type="application/json")
    for name, value in idempotent.repeated(stored, standing.original, str(id_)):
        if name.lower() != "content-type":
            answer.headers[name] = value
    return answer


def _model(body: bytes) -> str:
    """The name asked for, for the log; what cannot be read is refused by the handler."""
    try:
        return msgspec.json.decode(body, type=_Asked).model or ""
    except msgspec.DecodeError:
        return ""


class _Asked(msgspec.Struct):
    model: str | None = None
