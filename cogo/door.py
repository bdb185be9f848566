"""What stands before Django: life and death of the process, identity by header, caps and deadlines of bodies, admission.

By path: operations and the compatible APIs are answered here as bare ASGI, static files by their own app, everything else by Django.
A request that fails here never reaches a view.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from llm_gateway.api.compat import routes
from llm_gateway.api.http import Endpoint, HttpCall, HttpReply, error_headers, request_id
from llm_gateway.api.limits import with_limits
from llm_gateway.core import json
from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import (
    CallerLeft,
    Failure,
    FailureClass,
    GatewayError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    ShuttingDown,
    Unauthenticated,
)
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.stores.outage import outage
from llm_gateway.wires import dialects
from llm_gateway.wiring import Gateway, gateway, shutdown, startup

from .caller import Body, Receive, Send, Watch, hang_up
from .operations import Operations
from .places import Places

log = logging.getLogger("cogo.door")

Scope = dict[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COMPAT = ("/v1/", "/v1beta/")
NATIVE = "/api/ai-models/"
GENERATING = ("generate", "analyze", "test")
WRITE_STALL_S = 60.0
# Who brings no client key is nobody until Django has looked at the session: forms are small.
MOST_FORM_BYTES = 4 << 20
# A body of a refused request that may come and be thrown away.
SMALL_BYTES = 64 << 10
# How long a caller has for taking its last event when the gateway shuts down.
LAST_WORDS_S = 0.5


class Door:
    """``settings`` is the gateway's own part of the Django settings."""

    def __init__(self, django: App, static: App, settings: Mapping[str, Any]) -> None:
        self._django = django
        self._static = static
        self._settings = settings
        self._cap = int(settings["max_body_bytes"])
        self._body_s = float(settings["body_timeout_s"])
        self._heartbeat_s = float(settings["heartbeat_s"])
        self._owner = TaskOwner()
        self._operations = Operations(settings, self)
        self._stall_s = float(settings.get("write_stall_s", WRITE_STALL_S))
        self.places = Places(int(settings["max_in_flight"]))
        self._readers: set[Body] = set()
        self._watches: set[Watch] = set()
        self._signals = 0
        self._drains_until: float | None = None
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            path: str = scope["path"]
            if path.startswith(COMPAT):
                await self._compat(scope, receive, send)
            elif path.startswith("/static/"):
                await self._static(scope, receive, send)
            elif path in self._operations.paths:
                await self._operations.answer(scope, send)
            else:
                await self._to_django(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await startup()
            self._owner.start(self.places.measure(), "measure the loop's lag")
            self._owner.start(self._operations.note_for_ever(), "note gauges for who asks another process")
            self._hear_signals()
        except Exception as error:
            log.exception("the gateway did not start")
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"[:300]})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await shutdown(self._drain_left_s())
        await self._owner.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _hear_signals(self) -> None:
        """At the first signal the server stops accepting and waits for its connections; the streams among them are ours to end in time. At
        the second they end at once; only the third is the server's own business again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)

            def heard(got: int, frame: Any, before: Any = before) -> None:
                self._signals += 1
                loop.call_soon_threadsafe(self._drain)
                server = getattr(before, "__self__", None)
                if self._signals == 1 and hasattr(server, "should_exit"):
                    # Its handler would end the process by the same signal once all is done: a drain that worked is no crash.
                    server.should_exit = True
                elif self._signals != 2 and callable(before):
                    before(got, frame)

            try:
                signal.signal(number, heard)
            except ValueError:
                return  # not the main thread: a test hosts us

    def _drain(self) -> None:
        if self.draining:
            self._end_streams()
            return
        self.draining = True
        self._drains_until = time.monotonic() + float(self._settings["drain_s"])
        asyncio.get_running_loop().call_later(float(self._settings["drain_s"]), self._end_streams)

    def _drain_left_s(self) -> float:
        """How long executions whose callers have left may go on: the server waits for connections, and those have none."""
        left = float(self._settings["drain_s"]) if self._drains_until is None else self._drains_until - time.monotonic()
        return max(0.0, left)

    def _end_streams(self) -> None:
        """Every answer that still runs ends with its dialect's error event; every body that still comes is given up."""
        for reader in set(self._readers):
            reader.stop()
        asyncio.get_running_loop().call_later(LAST_WORDS_S, self._drop_stalled)
        try:
            pipeline = gateway().pipeline
        except GatewayError:
            return
        pipeline.end_streams(Failure(kind=FailureClass.RESET, code="server_shutting_down", message="the gateway is shutting down"))

    def _drop_stalled(self) -> None:
        for watch in set(self._watches):
            watch.give_up()

    # The compatible APIs.

    async def _compat(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        headers = _headers(scope)
        route, fitting = routes.find(method, scope["path"], headers)
        dialect = dialects.get(fitting[0].dialect if fitting else _dialect_of(scope["path"], headers))
        call_id = Gateway.new_id()
        try:
            if route is None:
                if fitting:
                    raise MethodNotAllowed(f"Use {' or '.join(sorted({r.method for r in fitting}))} here.")
                raise NotFound(f"There is nothing at {scope['path'][:200]}; see /api/docs/ and docs/clients.md for the paths.")
            identity = gateway().identify(_presented(headers))
            await self._enter()
        except GatewayError as error:
            status, body = dialect.encode_error(error, request_id(call_id))
            close = method == "POST" and not _stays(error, headers)
            await _reply(send, HttpReply(status=status, headers=error_headers(error, call_id), body=body), close=close)
            return
        reader = Body(receive, self._cap, self._body_s, headers.get("content-length", ""))
        self._readers.add(reader)
        call = HttpCall(
            id=call_id,
            method=method,
            path=scope["path"],
            query=dict(parse_qsl(scope["query_string"].decode("ascii", "replace"))),
            headers=headers,
            identity=identity,
            body=reader.read,
        )
        try:
            await self._serve(call, route.endpoint, dialect, reader, receive, send)
        finally:
            self._readers.discard(reader)
            self.places.leave()

    async def _serve(self, call: HttpCall, endpoint: Endpoint, dialect: Any, reader: Body, receive: Receive, send: Send) -> None:
        watch = Watch(receive, send, reader, self._owner, heartbeat_s=self._heartbeat_s, stall_s=self._stall_s)
        self._watches.add(watch)
        reply: HttpReply | None = None
        try:
            reply = with_limits(await self._answer(call, endpoint, dialect), dialect.name, call.identity)
            if reply.chunks is None:
                await _reply(send, reply, close=not reader.complete)
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
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            watch.stop()
            self._watches.discard(watch)
            if reply is not None and reply.close is not None:
                await reply.close(watch.stalled)
            if watch.stalled:
                hang_up(send)

    @staticmethod
    async def _answer(call: HttpCall, endpoint: Endpoint, dialect: Any) -> HttpReply:
        try:
            return await endpoint(call)
        except GatewayError as error:
            found = error
        except ConnectionError:
            raise
        except Exception as error:
            log.exception("an endpoint failed", extra={"request_id": request_id(call.id)})
            found = outage(error) or InternalError("The gateway failed; its operator finds the reason under this request id.")
        status, body = dialect.encode_error(found, request_id(call.id))
        return HttpReply(status=status, headers=error_headers(found, call.id), body=body)

    # Admission.

    async def _enter(self) -> Gateway:
        """Take a place; whoever does leaves it again. Raises :class:`Overloaded` or :class:`ShuttingDown`."""
        if self.draining:
            raise ShuttingDown("The gateway is shutting down; send the request again.", retry_after_s=2)
        found = gateway()
        await self.places.take()
        return found

    # Everything else.

    async def _to_django(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        if method in ("GET", "HEAD", "OPTIONS"):
            # Nothing here reads the body of a question, and Django would write one to disk before it looks at who sends it.
            await self._hand_over(scope, b"", receive, send)
            return
        headers = _headers(scope)
        native = scope["path"].startswith(NATIVE)
        call_id = Gateway.new_id()
        cap = min(self._cap, MOST_FORM_BYTES)
        identity: Identity | None = None
        try:
            if native and ("cookie" not in headers or "authorization" in headers or "x-api-key" in headers):
                identity = gateway().identify(_presented(headers))
                cap = self._cap
            if native:
                await self._enter()
        except GatewayError as error:
            await _reply(send, _native_error(error, call_id), close=not _stays(error, headers))
            return
        reader = Body(receive, cap, self._body_s, headers.get("content-length", ""))
        self._readers.add(reader)
        try:
            try:
                body = await reader.read()
            except (GatewayError, ConnectionError) as raised:
                error = raised if isinstance(raised, GatewayError) else CallerLeft("The caller left before its request was complete.")
                kind = scope["path"].removeprefix(NATIVE).rstrip("/")
                if identity is not None and kind in GENERATING:
                    await gateway().reject(kind=kind, dialect="native", identity=identity, error=error, request_id=call_id)
                await _reply(send, _native_error(error, call_id), close=True)
            else:
                await self._hand_over(scope, body, receive, send)
        except ConnectionError:
            return
        finally:
            self._readers.discard(reader)
            if native:
                self.places.leave()

    async def _hand_over(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        # Django and DRF take a body without Content-Length for none (reliability.md T5); it is known now.
        length = [(name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")]
        known = {**scope, "headers": [*length, (b"content-length", str(len(body)).encode())]}
        handed = False

        async def again() -> dict[str, Any]:
            nonlocal handed
            if not handed:
                handed = True
                return {"type": "http.request", "body": body, "more_body": False}
            while (message := await receive())["type"] == "http.request":
                pass
            return message

        await self._django(known, again, send)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _presented(headers: Mapping[str, str]) -> str:
    """The client key, wherever a dialect carries it."""
    authorization = headers.get("authorization", "")
    if authorization[:7].lower() == "bearer ":
        return authorization[7:].strip()
    found = headers.get("x-api-key") or headers.get("x-goog-api-key") or ""
    if not found:
        raise Unauthenticated("No client key was sent; put it into the header “Authorization: Bearer …”, x-api-key or x-goog-api-key.")
    return found.strip()


def _stays(error: GatewayError, headers: Mapping[str, str]) -> bool:
    """Whether a refused caller keeps its connection. What it still sends is not read, so nobody does who sends much; but to whom we say
    that we are full, a new connection for the next try would cost us more than the refusal."""
    length = headers.get("content-length", "")
    return type(error) is Overloaded and length.isdigit() and int(length) <= SMALL_BYTES


def _dialect_of(path: str, headers: Mapping[str, str]) -> str:
    """Whose error shape an unknown path gets."""
    if path.startswith("/v1beta/") or "x-goog-api-key" in headers:
        return "gemini_generate"
    if "anthropic-version" in headers or path.startswith("/v1/messages"):
        return "anthropic_messages"
    return "openai_chat"


def _native_error(error: GatewayError, call_id: Any) -> HttpReply:
    shown = {
        "code": error.code,
        "type": error.type,
        "message": error.message,
        "request_id": request_id(call_id),
        "retryable": error.retryable,
    }
    return HttpReply(status=error.status, headers=error_headers(error, call_id), body=json.dumps({"error": shown}))


async def _reply(send: Send, reply: HttpReply, *, close: bool = False) -> None:
    headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
    if close:
        # What the caller still sends is not read.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})
