"""Everything that Django answers: the native API, the console, documentation. Bodies are read here, under a cap and a clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from cogo.caller import Body, Receive, Send
from llm_gateway.api.refusal import presented_key
from llm_gateway.core.errors import CallerLeft, GatewayError, Overloaded
from llm_gateway.wiring import Gateway, gateway

from . import headers as head
from .arrivals import Arrivals, Who
from .callers import Callers
from .refusals import native, send_reply, stays

Scope = dict[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NATIVE = "/api/ai-models/"
GENERATING = ("generate", "analyze", "test")
_PACKED = (b"content-length", b"transfer-encoding", b"content-encoding")


class Behind:
    def __init__(self, django: App, arrivals: Arrivals, callers: Callers) -> None:
        self._django = django
        self._arrivals = arrivals
        self._callers = callers

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = head.names_and_values(scope)
        path: str = scope["path"]
        method: str = scope["method"]
        asks = method in ("GET", "HEAD", "OPTIONS")
        call_id = Gateway.new_id()
        try:
            who = self._who(scope, headers, asks)
            if not asks and path.startswith(NATIVE):
                self._arrivals.check_open()
        except GatewayError as error:
            await send_reply(send, native(error, call_id), close=not asks)
            return
        if asks:
            # Handlers of these never read a body, and Django would write one to disk before it looks at who sends it.
            await self._hand_over(scope, who, b"", receive, send)
            return
        with self._arrivals.body(receive, headers, who) as reader:
            try:
                await self._let_in(scope, who, call_id, reader, receive, send)
            except GatewayError as error:
                await send_reply(send, native(error, call_id), close=not reader.complete and not stays(error, headers))
            except ConnectionError:
                return

    def _who(self, scope: Scope, headers: Mapping[str, str], asks: bool) -> Who:
        """Raises what a caller is told who may not pass. Whom the native API knows only by a session is anonymous here."""
        if not scope["path"].startswith(NATIVE):
            return self._callers.anonymous(scope)
        head.check_single(scope)
        key = presented_key(headers)
        if key is None and (asks or "cookie" in headers):
            return self._callers.anonymous(scope)
        return self._callers.keyed(scope, headers)

    async def _let_in(self, scope: Scope, who: Who, call_id: UUID, reader: Body, receive: Receive, send: Send) -> None:
        try:
            body = await reader.read()
        except Overloaded:
            raise
        except (GatewayError, ConnectionError) as raised:
            error = raised if isinstance(raised, GatewayError) else CallerLeft("The caller left before its request was complete.")
            kind = scope["path"].removeprefix(NATIVE).rstrip("/")
            if who.identity is not None and kind in GENERATING:
                await gateway().reject(
                    kind=kind, dialect="native", identity=who.identity, error=error, request_id=call_id, address=who.address
                )
            raise error from None
        places = self._arrivals.places_of(who.identity)
        await places.take()
        try:
            await self._hand_over(scope, who, body, receive, send)
        finally:
            places.leave()

    async def _hand_over(self, scope: Scope, who: Who, body: bytes, receive: Receive, send: Send) -> None:
        # Django and DRF take a body without Content-Length for none (reliability.md T5); it is known now. Behind a trusted proxy the
        # caller's address is not the connection's.
        headers = [(name, value) for name, value in scope["headers"] if name not in _PACKED]
        known = {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
        if who.address and scope.get("client"):
            known["client"] = (who.address, scope["client"][1])
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
