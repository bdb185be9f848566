"""What the console's playground sends: one chat request of a signed-in member of staff, under a client key they chose or their own account.

It walks the engine like any other: the key's rights, limits, addresses and budgets hold, and its row names the key and who sent it. Session
and CSRF are checked as on every page; the answer is the native format's event stream, with tool calls as ``tool`` events.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from llm_gateway.actions.sign_in import address_of
from llm_gateway.core import json
from llm_gateway.core.catalog import Identity, Scope
from llm_gateway.core.errors import GatewayError, InvalidJsonBody, InvalidRequest, KeyRevoked, MethodNotAllowed, NotFound, PermissionDenied
from llm_gateway.core.events import Event, ToolDelta, ToolStart
from llm_gateway.engine.calls import Call
from llm_gateway.engine.fresh import new_id
from llm_gateway.policies.callers import admits
from llm_gateway.wires import dialects

from .native import render, sse
from .native.host import gateway
from .refusal import native_body

TAG = "playground"
DIALECT = "openai_chat"
CHOOSES_KEYS = "llm_gateway.view_clientkey"


async def send(request: HttpRequest) -> HttpResponseBase:
    """POST ``{"key": public id or "", "request": a chat completion request}``."""
    call_id = new_id()
    identity: Identity | None = None
    asked = ""
    try:
        if request.method != "POST":
            raise MethodNotAllowed("Send a POST request.")
        user = await request.auser()
        body = _object(request.body)
        identity = await sync_to_async(_identity)(user, body.get("key"), address_of(request))
        inbound = dialects.get(DIALECT).decode_request(json.dumps({**_wanted(body), "stream": True}), {"kind": "chat"})
        asked = inbound.model
    except GatewayError as error:
        if identity is not None:
            await gateway().reject(kind="chat", dialect=DIALECT, identity=identity, error=error, model=asked, request_id=call_id)
        return _refused(error, call_id)
    call = Call(
        id=call_id, kind="chat", identity=identity, inbound=inbound, stream=True, raw=False, tag=TAG, user_id=user.pk,
        address=address_of(request),
    )  # fmt: skip
    try:
        opened = sse.Opened(await gateway().pipeline.stream(call))
    except GatewayError as error:
        return _refused(error, call_id)
    return sse.EventStream(_events(opened), call_id, render.stream_headers(opened.answer))


async def _events(opened: sse.Opened) -> AsyncGenerator[bytes, None]:
    answer = opened.answer
    start = {"id": str(answer.id), "model": render.model_name(answer.target, answer.model), "provider": answer.target.provider.slug}
    head = sse.event("start", {**start, "strategy": answer.strategy or None})
    async with aclosing(opened.events()) as batches:
        async for batch in batches:
            if chunk := head + sse.deltas(batch) + _tools(batch):
                yield chunk
            head = b""
    yield sse.event("done", render.envelope([opened.summary()]))


def _tools(events: Iterable[Event]) -> bytes:
    said = bytearray()
    for one in events:
        match one:
            case ToolStart():
                said += sse.event("tool", {"index": one.index, "id": one.id, "name": one.name})
            case ToolDelta() if one.arguments:
                said += sse.event("tool", {"index": one.index, "arguments": one.arguments})
    return bytes(said)


def _identity(user: Any, key: Any, address: str) -> Identity:
    """Whose rights and budgets hold. Raises what a caller with that key would be told."""
    if not user.is_authenticated or not user.is_active or not user.is_staff:
        raise PermissionDenied("Sign in to the console first.")
    own: Identity = gateway().staff_identity(user)
    if Scope.GENERATE not in own.scopes:
        raise PermissionDenied("Your role sends no requests that cost money.")
    if not key:
        return own
    found = gateway().catalog.snapshot().clients.get(key) if isinstance(key, str) else None
    if found is None or not user.has_perm(CHOOSES_KEYS):
        raise NotFound("There is no such client key.")
    identity = found[1]
    if identity.revoked or (identity.expires_at is not None and identity.expires_at <= datetime.now(UTC)):
        raise KeyRevoked("This client key was revoked or has expired; choose another.")
    if Scope.GENERATE not in identity.scopes:
        raise PermissionDenied("This key lacks the scope `generate`.")
    if identity.addresses and not admits(identity.addresses, address):
        raise PermissionDenied("This key may not be used from your address.")
    return identity


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except json.InvalidJson as error:
        raise InvalidJsonBody(f"The body is no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise InvalidRequest("Send a JSON object.")
    return found


def _wanted(body: dict[str, Any]) -> dict[str, Any]:
    found = body.get("request")
    if not isinstance(found, dict):
        raise InvalidRequest("`request` is a chat completion request.", param="request")
    return found


def _refused(error: GatewayError, call_id: Any) -> HttpResponse:
    response = HttpResponse(json.dumps(native_body(error, call_id)), status=error.status, content_type="application/json")
    response["cache-control"] = "no-store"
    response["x-request-id"] = str(call_id)
    return response
