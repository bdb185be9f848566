"""A small POST to a compatible API that comes whole is answered where it arrives: no messages of ASGI, one write, no task that watches for
a caller's leaving.

Everything else goes uvicorn's way, as if this class were not there: other methods and paths, bodies that are large, chunked, packed or
late, upgrades, ``Expect``, what is sent before the answer to an earlier request, callers who do not take what they are sent, and gateways
below a path of their host. An answer that turns out to be a stream goes on as uvicorn's own from its first byte.

uvicorn's protocol is no public interface: what is used of it here is in tests/door/test_doorstep.py, to be run on each new version.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from cogo.door.compat import Compat
from cogo.door.door import compatible_path
from llm_gateway.api.http import HttpReply

log = logging.getLogger("cogo.door")

MOST_BYTES = 64 << 10
# Most clients write head and body apart. A body that takes longer than this to come is waited for where uploads are counted.
GRACE_S = 0.02
# What makes a body another thing than the bytes that came, or its head another thing than a plain request's.
_OTHERWISE = ("transfer-encoding", "content-encoding", "expect", "upgrade")


class Step:
    """One request and its answer. It stands where uvicorn keeps the cycle of a request, so that what comes after it is queued, closed and
    counted as after any other. ``gone``: the caller left, and the task that served it is cancelled."""

    __slots__ = (
        "_body", "_connection", "cycle", "disconnected", "gone", "headers", "keep_alive", "path", "response_complete", "scope", "task",
    )  # fmt: skip

    complete = True

    def __init__(self, connection: Doorstep, path: str, headers: dict[str, str], body: bytes) -> None:
        self._connection = connection
        self._body = body
        self.path = path
        self.headers = headers
        self.scope: dict[str, Any] = connection.scope  # type: ignore[assignment]  # uvicorn's own name for it
        self.task: asyncio.Task[None] | None = None
        # uvicorn's own, once the answer is a stream.
        self.cycle: RequestResponseCycle | None = None
        self.gone = False
        # What uvicorn reads and writes of a cycle.
        self.disconnected = self.response_complete = False
        self.keep_alive = True

    @property
    def message_event(self) -> Step:
        return self

    def set(self) -> None:
        """Nobody waits for more of the request: it is complete."""

    async def body(self) -> bytes:
        return self._body

    def reply(self, reply: HttpReply, *, close: bool = False) -> None:
        """Write all of it at once."""
        connection = self._connection
        if self.disconnected or self.response_complete:
            return
        lines = [b"%b: %b\r\n" % field for field in (*connection.server_state.default_headers, *reply.headers)]
        lines.append(b"content-length: %d\r\n" % len(reply.body))
        if close or not self.keep_alive:
            self.keep_alive = False
            lines.append(b"connection: close\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise RuntimeError("a header of the answer holds a line break")
        connection.transport.write(b"".join((STATUS_LINE[reply.status], head, b"\r\n", reply.body)))
        self.response_complete = True
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()

    def streamed(self) -> RequestResponseCycle:
        """The rest of the answer is written in uvicorn's way."""
        self.cycle = self._connection.cycle_for(self)
        return self.cycle

    def leave(self) -> None:
        """The connection is lost."""
        self.disconnected = True
        if self.cycle is not None:
            if not self.cycle.response_complete:
                self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif not self.response_complete and self.task is not None:
            self.gone = True
            self.task.cancel()


class Doorstep(HttpToolsProtocol):
    """``_held``: pieces of the body of a request that may be answered here, until it is known whether all of it has come."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: list[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._step: Step | None = None
        self._path = ""
        self._names: dict[str, str] = {}
        compat = getattr(self.app, "compat", None)
        plain = not (self.root_path or self.limit_concurrency is not None or self.config.access_log or self.config.reset_contextvars)
        self._compat: Compat | None = compat if plain and isinstance(compat, Compat) else None

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._held is not None:
            if self.transport.is_closing():
                self._go_on()
            elif self._timer is None:
                self._timer = self.loop.call_later(GRACE_S, self._go_on)

    @override
    def shutdown(self) -> None:
        self._go_on()
        super().shutdown()

    @override
    def on_headers_complete(self) -> None:
        if self._compat is not None and self._fits(self._compat):
            self._held = []
        else:
            super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        if self._held is not None:
            self._held.append(body)
        else:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self._held is None:
            super().on_message_complete()
            return
        parts = self._let_go()
        step = self._step = Step(self, self._path, self._names, parts[0] if len(parts) == 1 else b"".join(parts))
        self.cycle = step  # type: ignore[assignment]  # see Step
        assert self._compat is not None
        task = step.task = self.loop.create_task(self._answer(step, self._compat))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._step is not None:
            self._step.leave()
        self._go_on()
        super().connection_lost(exc)

    def _go_on(self) -> None:
        """What is held of a request goes uvicorn's way: its body is still on its way."""
        if self._held is not None:
            parts = self._let_go()
            super().on_headers_complete()
            for part in parts:
                super().on_body(part)

    def _let_go(self) -> list[bytes]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        parts, self._held = self._held, None
        return parts or []

    def cycle_for(self, step: Step) -> RequestResponseCycle:
        cycle = RequestResponseCycle(
            scope=step.scope,  # type: ignore[arg-type]  # uvicorn's own
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=step.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.more_body = False
        cycle.disconnected = step.disconnected
        if self.cycle is step:  # type: ignore[comparison-overlap]  # see Step
            self.cycle = cycle
        return cycle

    def _fits(self, compat: Compat) -> bool:
        """Whether this head may be answered here, if its body comes with it."""
        cycle, parser = self.cycle, self.parser
        if (cycle is not None and not cycle.response_complete) or self.pipeline or self.flow.write_paused:
            return False
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or self.transport.is_closing():
            return False
        target, _, query = self.url.partition(b"?")
        if b"%" in target or not target.startswith(b"/") or b"#" in self.url or not target.isascii():
            return False
        spelt = target.decode("ascii")
        path = compatible_path("POST", spelt)
        names: dict[str, str] = {}
        for name, value in self.headers:
            names[name.decode("latin-1")] = value.decode("latin-1")
        # What came twice is judged where all of it is.
        if path is None or len(names) != len(self.headers) or not names.keys().isdisjoint(_OTHERWISE):
            return False
        length = names.get("content-length", "")
        if names.get("connection", "keep-alive").lower() != "keep-alive":
            return False
        if not length.isdecimal() or not int(length) <= min(MOST_BYTES, compat.most_body_bytes):
            return False
        self._path, self._names = path, names
        self.scope |= {"method": "POST", "path": spelt, "raw_path": target, "query_string": query}
        return True

    async def _answer(self, step: Step, compat: Compat) -> None:
        try:
            await compat.at_once(step)
        except BaseException as error:
            log.exception("a request failed at the door")
            if step.cycle is None and not step.response_complete:
                plain = HttpReply(status=500, headers=((b"content-type", b"text/plain; charset=utf-8"),), body=b"Internal Server Error")
                step.reply(plain, close=True)
            elif not self.transport.is_closing():
                self.transport.close()
            if not isinstance(error, Exception):
                raise
        finally:
            if self._step is step:
                self._step = None
