"""The compatible APIs: bare ASGI endpoints, hosted here. Every error becomes the dialect's own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from cogo.caller import Body, Reader, Receive, Send, Watch, hang_up
from cogo.streamed import Upload
from llm_gateway.api.compat import Route, routes
from llm_gateway.api.http import Endpoint, HttpCall, HttpReply, request_id
from llm_gateway.api.limits import with_limits
from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import GatewayError, InternalError, MethodNotAllowed, NotFound, Overloaded, UpgradeRequired
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.stores.outage import outage
from llm_gateway.wiring import Gateway

from . import headers as head
from .arrivals import Arrivals, Who
from .callers import Callers
from .drain import Drain
from .refusals import compatible, dialect_of, send_reply, stays

log = logging.getLogger("cogo.door")

Scope = dict[str, Any]
WRITE_STALL_S = 60.0
NOBODY = Identity(client_key_id=None, public_id="", name="", team_id=0, team="", scopes=frozenset())


class Cycle(Protocol):
    """The two callables of an ASGI request."""

    async def receive(self) -> Any: ...
    async def send(self, message: Any) -> None: ...


class Step(Protocol):
    """A request that has come whole, answered without messages (cogo.doorstep). ``gone``: its caller left, and this task was cancelled."""

    scope: Scope
    path: str
    headers: dict[str, str]
    gone: bool
    complete: bool

    async def body(self) -> bytes: ...
    def reply(self, reply: HttpReply, *, close: bool = False) -> None: ...
    def streamed(self) -> Cycle: ...


class Compat:
    """``stall_s``: how long a caller may leave unread what it is sent."""

    def __init__(self, arrivals: Arrivals, callers: Callers, drain: Drain, owner: TaskOwner, settings: Mapping[str, Any]) -> None:
        self._arrivals = arrivals
        self._callers = callers
        self._drain = drain
        self._owner = owner
        self._heartbeat_s = float(settings["heartbeat_s"])
        self.stall_s = float(settings.get("write_stall_s", WRITE_STALL_S))

    async def answer(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        """``path``: the request's own, as the routes spell it."""
        method: str = scope["method"]
        headers = head.names_and_values(scope)
        route, fitting = routes.find(method, path, headers)
        dialect = fitting[0].dialect if fitting else dialect_of(path, headers)
        call_id = Gateway.new_id()
        try:
            head.check_single(scope)
            if route is None:
                raise _no_route(fitting, scope["path"], headers)
            who = self._nobody(scope) if route.keyless else self._callers.keyed(scope, headers)
            self._arrivals.check_open()
        except GatewayError as error:
            await send_reply(send, compatible(error, dialect, call_id), close=method == "POST")
            return
        if route.uploads and method in ("POST", "PUT"):
            await self._take_upload(scope, path, headers, who, call_id, route, receive, send)
            return
        with self._arrivals.body(receive, headers, who) as reader:
            try:
                placed = await self._let_in(method, headers, reader)
            except GatewayError as error:
                close = method == "POST" and not reader.complete and not stays(error, headers)
                reply = compatible(error, dialect, call_id)
                await send_reply(send, with_limits(reply, dialect, who.identity) if who.identity else reply, close=close)
                return
            try:
                await self._serve(_call(scope, path, headers, who, call_id, reader.read), route, reader, receive, send)
            finally:
                if placed:
                    self._arrivals.places.leave()

    def _nobody(self, scope: Scope) -> Who:
        """For an address that says itself who may come: without rights of any key."""
        return msgspec.structs.replace(self._callers.anonymous(scope), identity=NOBODY)

    async def _take_upload(
        self, scope: Scope, path: str, headers: Mapping[str, str], who: Who, call_id: Any, route: Route, receive: Receive, send: Send
    ) -> None:
        try:
            with self._arrivals.upload(receive, headers, who, route.uploads) as reader:
                call = msgspec.structs.replace(_call(scope, path, headers, who, call_id, reader.read), upload=reader.pieces)
                await self._serve(call, route, reader, receive, send)
        except GatewayError as error:
            await send_reply(send, compatible(error, route.dialect, call_id), close=True)

    async def _let_in(self, method: str, headers: Mapping[str, str], reader: Body) -> bool:
        """Whether the request now has a place. It needs none where its body is at fault: the endpoint then only logs that. Raises
        :class:`Overloaded`."""
        if method == "POST":
            try:
                await reader.read()
            except Overloaded:
                raise
            except (GatewayError, ConnectionError):
                return False
        else:
            # Nothing reads the body of such a request; without one the connection stays.
            reader.complete = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        await self._arrivals.places.take()
        return True

    @property
    def most_body_bytes(self) -> int:
        return self._arrivals.cap

    async def at_once(self, step: Step) -> None:
        """As :meth:`answer`, of a POST that has come whole, with one value for each header."""
        scope, path, headers = step.scope, step.path, step.headers
        route, fitting = routes.find("POST", path, headers)
        dialect = fitting[0].dialect if fitting else dialect_of(path, headers)
        call_id = Gateway.new_id()
        try:
            if route is None:
                raise _no_route(fitting, scope["path"], headers)
            who = self._nobody(scope) if route.keyless else self._callers.keyed(scope, headers)
            self._arrivals.check_open()
        except GatewayError as error:
            step.reply(compatible(error, dialect, call_id), close=True)
            return
        identity = who.identity
        assert identity is not None
        places = self._arrivals.places
        try:
            if not places.enter():
                await places.take()
        except Overloaded as error:
            step.reply(with_limits(compatible(error, dialect, call_id), dialect, identity))
            return
        except asyncio.CancelledError:
            if not step.gone:
                raise
            _stay()
            return
        try:
            call = _call(scope, path, headers, who, call_id, step.body)
            if route.uploads:
                call = msgspec.structs.replace(call, upload=partial(_whole, step))
            await self._serve_at_once(call, route, step)
        finally:
            places.leave()

    async def _serve_at_once(self, call: HttpCall, route: Route, step: Step) -> None:
        reply: HttpReply | None = None
        try:
            reply = with_limits(await _answered(call, route.endpoint, route.dialect), route.dialect, call.identity)
            if reply.chunks is None:
                step.reply(reply)
        except ConnectionError:
            return
        except asyncio.CancelledError:
            if not step.gone:
                raise
            _stay()
        finally:
            if reply is not None and reply.chunks is None and reply.close is not None:
                await reply.close(False)
        if reply is not None and reply.chunks is not None:
            cycle = step.streamed()
            await self._send(reply, self._watch(cycle.receive, cycle.send, step), cycle.send)

    def _watch(self, receive: Receive, send: Send, reader: Reader) -> Watch:
        watch = Watch(receive, send, reader, self._owner, heartbeat_s=self._heartbeat_s, stall_s=self.stall_s)
        self._drain.watches.add(watch)
        return watch

    async def _serve(self, call: HttpCall, route: Route, reader: Body | Upload, receive: Receive, send: Send) -> None:
        watch = self._watch(receive, send, reader)
        reply: HttpReply | None = None
        try:
            reply = with_limits(await _answered(call, route.endpoint, route.dialect), route.dialect, call.identity)
        except ConnectionError:
            return
        except asyncio.CancelledError:
            if not watch.gone:
                raise
            _stay()
            return
        finally:
            if reply is None:
                self._over(watch)
        await self._send(reply, watch, send, close=not reader.complete)

    async def _send(self, reply: HttpReply, watch: Watch, send: Send, *, close: bool = False) -> None:
        """``close``: the connection, after an answer that is no stream."""
        try:
            if reply.chunks is None:
                await send_reply(send, reply, close=close)
                return
            watch.heartbeat = reply.heartbeat
            watch.start()
            await send({"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)})
            async for chunk in reply.chunks:
                watch.sending = time.monotonic()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                watch.sent()
            watch.stop()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ConnectionError:
            return  # the caller left while it was sending
        except asyncio.CancelledError:
            if not watch.gone:
                raise
            _stay()
        finally:
            self._over(watch)
            if reply.close is not None:
                await reply.close(watch.stalled)
            if watch.stalled:
                hang_up(send)

    def _over(self, watch: Watch) -> None:
        watch.stop()
        self._drain.watches.discard(watch)


def _stay() -> None:
    """The cancellation was for the caller who left; the task goes on to its end."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


async def _whole(step: Step) -> AsyncIterator[bytes]:
    """A body that has come whole, for who takes it in pieces."""
    yield await step.body()


def _no_route(fitting: list[Route], path: str, headers: Mapping[str, str]) -> GatewayError:
    """Why this method is not answered at this path."""
    if not fitting:
        return NotFound(f"There is nothing at {path[:200]}; see /api/docs/ and docs/clients.md for the paths.")
    if headers.get("upgrade", "").lower() == "websocket":
        return UpgradeRequired("The gateway answers over HTTP, not over a WebSocket; send the request as a POST.")
    allowed = sorted({one.method for one in fitting})
    return MethodNotAllowed(f"Use {' or '.join(allowed)} here.", details={"allow": allowed})


def _call(scope: Scope, path: str, headers: Mapping[str, str], who: Who, call_id: UUID, body: Callable[[], Awaitable[bytes]]) -> HttpCall:
    assert who.identity is not None
    query: bytes = scope["query_string"]
    return HttpCall(
        id=call_id,
        method=scope["method"],
        path=path,
        query=dict(parse_qsl(query.decode("ascii", "replace"))) if query else {},
        headers=headers,
        identity=who.identity,
        address=who.address,
        body=body,
    )


async def _answered(call: HttpCall, endpoint: Endpoint, dialect: str) -> HttpReply:
    try:
        return await endpoint(call)
    except GatewayError as error:
        found = error
    except ConnectionError:
        raise
    except Exception as error:
        log.exception("an endpoint failed", extra={"request_id": request_id(call.id)})
        found = outage(error) or InternalError("The gateway failed; its operator finds the reason under this request id.")
    return compatible(found, dialect, call.id)
