"""One caller's connection: clocks on everything a caller may leave half done, and bounds on what a head may hold.

uvicorn's protocol waits for ever for a first byte and for the end of a head. Here a head has :data:`HEAD_S`, as has what is left of a body
that nobody waits for any more; a kept connection has uvicorn's own pause; other bodies have the door's clock. An address has a share of the
connections, and when there are no more, those that have said nothing yet make room.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from cogo.door.behind import NATIVE
from cogo.door.callers import Callers
from cogo.door.refusals import compatible, dialect_of, native
from cogo.doorstep import Doorstep
from llm_gateway.core.errors import BodyTimeout, GatewayError, HeadTooLarge, Overloaded, TargetTooLong
from llm_gateway.policies.callers import subscriber
from llm_gateway.wiring import Gateway

# How long a head may take, from the connection or from its first byte on.
HEAD_S = 15.0
# How long a refused caller may go on sending, into nothing.
LINGER_S = 1.0
MOST_HEAD_BYTES = 64 << 10
MOST_FIELDS = 128
MOST_TARGET_BYTES = 8 << 10
# Requests sent before the answer to an earlier one. uvicorn reads on with each answer, so it would queue them without end.
MOST_WAITING = 32


class Limits:
    """Of all connections of this process. ``silent``: those that have sent no whole head yet, oldest first. ``shared``: whether many
    callers stand behind an address, which has no share of its own then."""

    def __init__(self, most: int, per_address: int, shared: Callable[[str], bool], head_s: float = HEAD_S) -> None:
        self.most = most
        self.per_address = per_address
        self.head_s = head_s
        self.silent: dict[Connection, None] = {}
        self.open = 0
        self._shared = shared
        self._of: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Whether one more connection may stay. Each call is followed by one of :meth:`leave`."""
        self.open += 1
        peer = subscriber(address)
        self._of[peer] += 1
        if self._of[peer] > self.per_address and not self._shared(address):
            return False
        if self.open > self.most and self.silent:
            next(iter(self.silent)).give_way()
            return True
        return self.open <= self.most

    def leave(self, address: str) -> None:
        self.open -= 1
        peer = subscriber(address)
        self._of[peer] -= 1
        if self._of[peer] <= 0:
            del self._of[peer]


class Connection(Doorstep):
    """Made into a class of its own per process by :func:`bounded`, which gives it ``limits``."""

    limits: Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock: asyncio.TimerHandle | None = None
        self._awaiting_head = True
        # Bytes since the last piece of a body that were none themselves: sizes of chunks, and fields behind them.
        self._head_bytes = self._framing = 0
        self._refused = self._completed = False
        self._address = ""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        if self.limits.enter(self._address):
            self.limits.silent[self] = None
            self._start_clock()
        else:
            self._refuse(Overloaded("Too many connections are open; close some, or try again shortly.", retry_after_s=1))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        self.limits.silent.pop(self, None)
        self.limits.leave(self._address)
        super().connection_lost(exc)

    def give_way(self) -> None:
        self.limits.silent.pop(self, None)
        self.transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._completed = False
        self._framing += len(data)
        super().data_received(data)
        if self._refused or self.transport.is_closing():
            return
        if not self._awaiting_head:
            if self._framing > MOST_HEAD_BYTES:
                self._refused = True
                self._stop_clock()
                self.transport.close()
            return
        if not self._completed:
            self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(_too_large())
        elif self._clock is None and (self.cycle is None or self.cycle.response_complete):
            self._start_clock()

    @override
    def on_message_begin(self) -> None:
        if self._refused:
            return
        super().on_message_begin()
        self._awaiting_head = True
        self._head_bytes = 0

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """Fields behind a chunked body are dropped: who the caller is and what it wants was judged by the head."""
        if self._awaiting_head and not self._refused:
            super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        if self._refused:
            return
        self._awaiting_head = False
        self._framing = 0
        if self._clock is not None:
            self._stop_clock()
        self.limits.silent.pop(self, None)
        size = 4 * len(self.headers)
        for name, value in self.headers:
            size += len(name) + len(value)
        if len(self.url) > MOST_TARGET_BYTES:
            self._refuse(TargetTooLong(f"The address is longer than {MOST_TARGET_BYTES} bytes; send what it holds in the body."))
        elif size > MOST_HEAD_BYTES or len(self.headers) > MOST_FIELDS:
            self._refuse(_too_large())
        elif len(self.pipeline) >= MOST_WAITING:
            self._refuse(Overloaded("Too many requests wait for the answer to an earlier one.", retry_after_s=1))
        else:
            super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._framing -= len(body)
        if not self._refused:
            super().on_body(body)

    def on_chunk_complete(self) -> None:
        self._framing = 0

    @override
    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()
            if self._clock is not None:
                self._stop_clock()
        # What follows is the next head, or nothing for as long as a kept connection may be quiet.
        self._completed = True
        self._awaiting_head = True
        self._head_bytes = 0

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._awaiting_head and not self.pipeline and self._clock is None and not self.transport.is_closing():
            self._start_clock()

    @override
    def _unsupported_upgrade_warning(self) -> None:
        """The door answers 426; two lines of log for each try of an agent would say nothing more."""

    def _start_clock(self) -> None:
        self._clock = self.loop.call_later(self.limits.head_s, self._late)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        self._clock = None
        if self.transport.is_closing() or self._refused:
            return
        if self._head_bytes:
            self._refuse(BodyTimeout(f"The request's head did not arrive within {self.limits.head_s:g} s."))
        else:
            self.transport.close()

    def _refuse(self, error: GatewayError) -> None:
        """Answer in the caller's dialect and hang up."""
        self._refused = True
        self._stop_clock()
        if self.cycle is None or self.cycle.response_complete:
            url: bytes = getattr(self, "url", b"")
            path = url.decode("latin-1").partition("?")[0]
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in (self.headers or ())[:MOST_FIELDS]}
            call_id = Gateway.new_id()
            reply = native(error, call_id) if path.startswith(NATIVE) else compatible(error, dialect_of(path, headers), call_id)
            lines = [name + b": " + value for name, value in reply.headers]
            lines += [b"content-length: " + str(len(reply.body)).encode(), b"connection: close"]
            self.transport.write(STATUS_LINE[reply.status] + b"\r\n".join(lines) + b"\r\n\r\n" + reply.body)
            # Closing while the caller still sends would take the answer from it.
            self.transport.write_eof()
            self._clock = self.loop.call_later(LINGER_S, self.transport.abort)
        else:
            self.transport.close()


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"The request's head is larger than {MOST_HEAD_BYTES >> 10} KB or has more than {MOST_FIELDS} fields.")


def bounded(settings: Mapping[str, Any], *, head_s: float = HEAD_S) -> type[Connection]:
    """The protocol of a process, over the gateway's own settings."""
    limits = Limits(
        int(settings["max_connections"]), int(settings["connections_per_address"]), Callers(settings["trusted_proxies"]).is_shared, head_s
    )
    return type("BoundedConnection", (Connection,), {"limits": limits})
