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
from llm_gateway.api.http import HttpCall, HttpReply, error_headers, request_id
from llm_gateway.core import json
from llm_gateway.core.errors import (
    BodyTimeout,
    BodyTooLarge,
    GatewayError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    ShuttingDown,
    Unauthenticated,
)
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.wires import dialects
from llm_gateway.wiring import Gateway, gateway, shutdown, startup

from .operations import Operations

log = logging.getLogger("cogo.door")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COMPAT = ("/v1/", "/v1beta/")
NATIVE = "/api/ai-models/"
WRITE_STALL_S = 60.0
# A call that lasts longer than this is worth a task that watches whether its caller is still there.
WATCH_AFTER_S = 0.2


class Door:
    """``settings`` is the gateway's own part of the Django settings."""

    def __init__(self, django: App, static: App, settings: Mapping[str, Any]) -> None:
        self._django = django
        self._static = static
        self._settings = settings
        self._cap = int(settings["max_body_bytes"])
        self._body_s = float(settings["body_timeout_s"])
        self._most = int(settings["max_in_flight"])
        self._heartbeat_s = float(settings["heartbeat_s"])
        self._owner = TaskOwner()
        self._operations = Operations(settings, self)
        self._waiting = 0
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
            self._hear_signals()
        except Exception as error:
            log.exception("the gateway did not start")
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"[:300]})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await shutdown()
        await self._owner.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _hear_signals(self) -> None:
        """The server stops accepting and waits for its connections; the streams among them are ours to end in time."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)

            def heard(got: int, frame: Any, before: Any = before) -> None:
                loop.call_soon_threadsafe(self._drain)
                if callable(before):
                    before(got, frame)

            try:
                signal.signal(number, heard)
            except ValueError:
                return  # not the main thread: a test hosts us

    def _drain(self) -> None:
        if self.draining:
            self._end_streams()  # a second signal: now
            return
        self.draining = True
        asyncio.get_running_loop().call_later(float(self._settings["drain_s"]), self._end_streams)

    def _end_streams(self) -> None:
        from llm_gateway.core.errors import Failure, FailureClass

        try:
            found = gateway()
        except GatewayError:
            return
        found.pipeline.end_streams(Failure(kind=FailureClass.RESET, code="server_shutting_down", message="the gateway is shutting down"))

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
            found = self._admit()
            identity = found.identify(_presented(headers))
            _declared(headers, self._cap)
        except GatewayError as error:
            status, body = dialect.encode_error(error, request_id(call_id))
            close = error.status in (401, 413) and method == "POST"
            await _reply(send, HttpReply(status=status, headers=error_headers(error, call_id), body=body), close=close)
            return
        reader = _Body(receive, self._cap, self._body_s)
        call = HttpCall(
            id=call_id,
            method=method,
            path=scope["path"],
            query=dict(parse_qsl(scope["query_string"].decode("ascii", "replace"))),
            headers=headers,
            identity=identity,
            body=reader.read,
        )
        await self._serve(call, route.endpoint, dialect, reader, receive, send)

    async def _serve(self, call: HttpCall, endpoint: Any, dialect: Any, reader: _Body, receive: Receive, send: Send) -> None:
        watch = _Watch(receive, reader, asyncio.current_task(), self._owner, send, self._heartbeat_s)
        timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, watch.start)
        try:
            try:
                reply = await endpoint(call)
            except GatewayError as error:
                status, body = dialect.encode_error(error, request_id(call.id))
                reply = HttpReply(status=status, headers=error_headers(error, call.id), body=body)
            except Exception:
                log.exception("an endpoint failed", extra={"request_id": request_id(call.id)})
                failed = InternalError("The gateway failed; its operator finds the reason under this request id.")
                status, body = dialect.encode_error(failed, request_id(call.id))
                reply = HttpReply(status=status, headers=error_headers(failed, call.id), body=body)
            if reply.chunks is None:
                timer.cancel()
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
        except asyncio.CancelledError:
            if not watch.gone:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            timer.cancel()
            watch.stop()

    def _admit(self) -> Gateway:
        if self.draining:
            raise ShuttingDown("The gateway is shutting down; send the request again.", retry_after_s=2)
        found = gateway()
        if found.gate.in_flight >= self._most:
            raise Overloaded("The gateway is full; try again shortly.", retry_after_s=1 + (time.monotonic_ns() % 3000) / 1000)
        return found

    # Everything else.

    async def _to_django(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        if method in ("GET", "HEAD", "OPTIONS"):
            await self._django(scope, receive, send)
            return
        headers = _headers(scope)
        native = scope["path"].startswith(NATIVE)
        call_id = Gateway.new_id()
        try:
            if native:
                if self.draining:
                    raise ShuttingDown("The gateway is shutting down; send the request again.", retry_after_s=2)
                if "cookie" not in headers or "authorization" in headers or "x-api-key" in headers:
                    gateway().identify(_presented(headers))
            _declared(headers, self._cap)
        except GatewayError as error:
            await _reply(send, _native_error(error, call_id), close=True)
            return
        reader = _Body(receive, self._cap, self._body_s)
        try:
            body = await reader.read()
        except GatewayError as error:
            await _reply(send, _native_error(error, call_id), close=True)
            return
        except ConnectionError:
            return
        # Django and DRF take a body without Content-Length for none (reliability.md T5); it is known now.
        length = [(name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")]
        known = {**scope, "headers": [*length, (b"content-length", str(len(body)).encode())]}
        handed = False

        async def again() -> dict[str, Any]:
            nonlocal handed
            if not handed:
                handed = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self._django(known, again, send)


class _Body:
    """A request body: counted while it comes, against the cap and the clock."""

    __slots__ = ("_cap", "_receive", "_seconds", "complete")

    def __init__(self, receive: Receive, cap: int, seconds: float) -> None:
        self._receive = receive
        self._cap = cap
        self._seconds = seconds
        self.complete = False

    async def read(self) -> bytes:
        message = await self._next(time.monotonic() + self._seconds)
        if not message.get("more_body"):
            self.complete = True
            body: bytes = message.get("body", b"")
            if len(body) > self._cap:
                raise _too_large(self._cap)
            return body
        until = time.monotonic() + self._seconds
        parts = [message.get("body", b"")]
        size = len(parts[0])
        while message.get("more_body"):
            if size > self._cap:
                raise _too_large(self._cap)
            message = await self._next(until)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if size > self._cap:
            raise _too_large(self._cap)
        self.complete = True
        return b"".join(parts)

    async def _next(self, until: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise BodyTimeout(f"The request's body did not arrive within {self._seconds:.0f} s.") from None
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the caller left while sending")
        return message


class _Watch:
    """Sees a caller leave, keeps a quiet stream alive, and gives up on one that no longer reads."""

    def __init__(
        self, receive: Receive, reader: _Body, task: asyncio.Task[Any] | None, owner: TaskOwner, send: Send, heartbeat_s: float
    ) -> None:
        self._receive = receive
        self._reader = reader
        self._task = task
        self._owner = owner
        self._send = send
        self._heartbeat_s = heartbeat_s
        self._watching: asyncio.Task[Any] | None = None
        self._last = time.monotonic()
        self.heartbeat = b""
        self.sending: float | None = None
        self.gone = False

    def start(self) -> None:
        if self._watching is None and self._reader.complete:
            self._watching = self._owner.start(self._watch(), "watch a caller")

    def sent(self) -> None:
        self.sending = None
        self._last = time.monotonic()

    def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    message = await self._receive()
            except TimeoutError:
                now = time.monotonic()
                if self.sending is not None:
                    if now - self.sending > WRITE_STALL_S:
                        break
                elif self.heartbeat and now - self._last >= self._heartbeat_s:
                    await self._send({"type": "http.response.body", "body": self.heartbeat, "more_body": True})
                continue
            if message["type"] == "http.disconnect":
                break
        self.gone = True
        if self._task is not None:
            self._task.cancel()


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


def _declared(headers: Mapping[str, str], cap: int) -> None:
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > cap:
        raise _too_large(cap)


def _too_large(cap: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request's body is larger than {cap // (1 << 20)} MB.")


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
