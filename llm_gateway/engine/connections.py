"""One connection to a provider, and the answer that is on its way over it: HTTP/1.1 as httptools reads it.

A connection carries one exchange at a time. It is used again only where everything that was sent has gone out, the whole answer has come
in, and not one byte more; in every other case it is closed.
"""

from __future__ import annotations

import asyncio
import re
import select
from collections.abc import Iterator
from typing import Protocol, cast

import httptools
from typing_extensions import override

from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass

from .inflating import MAX_RESPONSE_BYTES, READ_BYTES, Inflater

MAX_HEADER_BYTES = 64 << 10
# Of a whole head, interim answers before it included, and of what may stand between two pieces of a body.
MAX_HEAD_BYTES = 2 * MAX_HEADER_BYTES
MAX_FIELDS = 128
# With more than this unread, the provider waits until all of it is read.
MOST_UNREAD_BYTES = 2 * READ_BYTES
# How long a connection may be quiet before it is not used again.
KEPT_S = 30.0

_K = FailureClass
_KEEP_ALIVE = re.compile(r"timeout\s*=\s*(\d{1,6})")
# What no field may hold: it would be another field to somebody else.
_ENDS_A_FIELD = re.compile(rb"[\r\n\0]")
_names: dict[bytes, str] = {}


class Owner(Protocol):
    """Whoever keeps the connections of one origin."""

    def made(self, connection: Connection) -> None: ...

    def free(self, connection: Connection) -> None:
        """It may carry another exchange."""
        ...

    def lost(self, connection: Connection) -> None: ...


class Answer:
    """An answer whose head has arrived; see :class:`llm_gateway.engine.transport.UpstreamResponse`. Iterates over its body."""

    __slots__ = ("_connection", "_inflate", "_opened", "ended", "failure", "headers", "parts", "status", "unread", "waiter")

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        # What the connection says of it.
        self.parts: list[bytes] = []
        self.unread = 0
        self.ended = False
        self.failure: Failure | None = None
        self.waiter: asyncio.Future[None] | None = None
        self._connection: Connection | None = connection
        self._inflate: Inflater | None = None
        self._opened: Iterator[bytes] | None = None

    def begin(self) -> Answer:
        """After its head. Raises :class:`AttemptFailed` where the body is compressed in a way that was not asked for."""
        encoding = self.headers.get("content-encoding")
        if encoding is not None and (encoding := encoding.strip().lower()) not in ("", "identity"):
            try:
                self._inflate = Inflater(encoding)
            except AttemptFailed:
                self.close()
                raise
        return self

    async def head(self) -> None:
        while not self.status:
            if self.failure is not None:
                raise AttemptFailed(self.failure)
            await self._more()

    async def read(self) -> bytes:
        if self.ended and self._inflate is None:
            return self._taken()
        parts = []
        size = 0
        async for part in self:
            size += len(part)
            if size > MAX_RESPONSE_BYTES:
                self.close()
                raise AttemptFailed(Failure(kind=_K.TOO_LARGE_RESPONSE, message=f"more than {MAX_RESPONSE_BYTES} bytes"))
            parts.append(part)
        return b"".join(parts)

    def chunks(self) -> Answer:
        return self

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._opened is not None:
                try:
                    part = next(self._opened, None)
                except AttemptFailed:
                    self.close()
                    raise
                if part is not None:
                    return part
                self._opened = None
            if self.parts:
                data = self._taken()
                if self._inflate is None:
                    return data
                self._opened = _opened(self._inflate, data)
            elif self.failure is not None:
                raise AttemptFailed(self.failure)
            elif self.ended:
                raise StopAsyncIteration
            else:
                await self._more()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._opened = None
            self.parts.clear()
            self.fail(Failure(kind=_K.RESET, message="hung up"))
            connection.abort()

    # What the connection calls.

    def end(self) -> None:
        self.ended = True
        self._connection = None

    def fail(self, failure: Failure) -> None:
        if not self.ended:
            self.failure = self.failure or failure
            self.wake()

    def wake(self) -> None:
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _taken(self) -> bytes:
        parts = self.parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.unread = 0
        if self._connection is not None:
            self._connection.resume()
        return data

    async def _more(self) -> None:
        """Returns once something came; whoever is cancelled meanwhile hangs up."""
        self.waiter = asyncio.get_running_loop().create_future()
        try:
            await self.waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self.waiter = None


def _opened(inflate: Inflater, data: bytes) -> Iterator[bytes]:
    """In small pieces, each judged before the next is opened."""
    step = READ_BYTES // 4
    for at in range(0, len(data), step):
        yield from inflate.feed(data[at : at + step])


class Connection(asyncio.Protocol):
    """``kept_until``: the loop's time from which on it is not used again."""

    __slots__ = (
        "_answer", "_fields", "_fresh", "_head", "_heard", "_interim", "_keep", "_large", "_loop", "_owner", "_parser", "_paused", "_poll",
        "_quiet", "_sizes", "_surplus", "_transport", "kept_until",
    )  # fmt: skip

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._parser = httptools.HttpResponseParser(self)
        # As lenient as a client has to be with hosts, and not where two readers could see two answers.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._fresh = True
        self._head = self._heard = self._interim = self._keep = self._large = self._paused = self._surplus = False
        self._fields = self._quiet = self._sizes = 0
        self.kept_until = 0.0

    async def exchange(self, head: bytes, body: bytes, *, no_body: bool) -> Answer:
        """The answer once its head has come. ``no_body``: it answers HEAD. Raises :class:`AttemptFailed`; cancelled, it hangs up."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise AttemptFailed(Failure(kind=_K.RESET if self._fresh else _K.STALE_CONNECTION, message="closed"))
        answer = self._answer = Answer(self)
        self._head, self._heard = no_body, False
        self._fields = self._quiet = self._sizes = 0
        if len(body) <= READ_BYTES:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        await answer.head()
        return answer.begin()

    def usable(self) -> bool:
        """Whether it can carry an exchange now: open, not too old, and with nothing in it that nobody asked for."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and self._loop.time() < self.kept_until and not self._poll.poll(0)

    def abort(self) -> None:
        """Close at once; what is not sent yet stays unsent."""
        if self._transport is not None:
            self._transport.abort()

    def resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # The transport's calls.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclass.
        self._transport = cast(asyncio.Transport, transport)
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._owner.made(self)

    @override
    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or answer.failure is not None:
            # Nobody asked, or nobody listens any more.
            self.abort()
            return
        self._heard = True
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._surplus = True
            if not answer.ended:
                answer.fail(Failure(kind=_K.PROTOCOL, message=type(error).__name__))
        if answer.ended:
            self._over()
        elif self._large or self._quiet > MAX_HEAD_BYTES:
            answer.fail(Failure(kind=_K.PROTOCOL, message="the answer's head is too large"))
        if answer.failure is not None:
            self.abort()
        elif answer.unread > MOST_UNREAD_BYTES and not answer.ended and not self._paused:
            self._paused = True
            assert self._transport is not None
            self._transport.pause_reading()
        answer.wake()

    @override
    def eof_received(self) -> None:
        self._cut(None)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._cut(exc)
        self._transport = None
        # It refers to this connection, which refers to it.
        del self._parser
        self._owner.lost(self)

    def _cut(self, exc: Exception | None) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.ended:
            return
        if answer.status:
            if exc is None and self._until_closed(answer):
                answer.end()
                answer.wake()
                return
            kind = _K.RESET if isinstance(exc, ConnectionResetError) else _K.TRUNCATED
        else:
            kind = _K.RESET if self._fresh or self._heard else _K.STALE_CONNECTION
        answer.fail(Failure(kind=kind, message=type(exc).__name__ if exc else "closed"))

    @staticmethod
    def _until_closed(answer: Answer) -> bool:
        """Whether the end of the connection is the end of the body."""
        coding = answer.headers.get("transfer-encoding", "").rpartition(",")[2].strip().lower()
        return coding != "chunked" and "content-length" not in answer.headers

    def _over(self) -> None:
        """The answer is whole: keep the connection, or close it."""
        transport = self._transport
        self._answer = None
        assert transport is not None
        if self._keep and not self._surplus and not transport.is_closing() and not transport.get_write_buffer_size():
            if self._paused:
                self.resume()
            self._fresh = False
            self._owner.free(self)
        else:
            transport.abort()

    # The parser's calls.

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.ended:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        answer = self._answer
        if answer is None or answer.status:
            return  # a trailer
        size = len(name) + len(value)
        self._sizes += size
        self._fields += 1
        if size > MAX_HEADER_BYTES or _ENDS_A_FIELD.search(value):
            self._large = True
        known = _names.get(name)
        answer.headers[known if known is not None else _remembered(name)] = value.strip(b" \t").decode("utf-8", "surrogateescape")

    def on_headers_complete(self) -> None:
        answer = self._answer
        if answer is None or answer.ended:
            return
        status = self._parser.get_status_code()
        if self._fields > MAX_FIELDS or self._sizes > MAX_HEAD_BYTES:
            self._large = True
        if self._large:
            return
        if status < 200:
            # 101 was not asked for; the parser itself makes an error of it.
            self._interim = True
            answer.headers = {}
            return
        self._quiet = 0
        answer.status = status
        if self._head:
            self._keep = False
            answer.end()

    def on_body(self, data: bytes) -> None:
        answer = self._answer
        # Without a status it is an interim answer's, which has none.
        if answer is not None and answer.status and not answer.ended:
            self._quiet = 0
            answer.parts.append(data)
            answer.unread += len(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            return
        answer = self._answer
        if answer is None or answer.ended or not answer.status:
            return
        self._keep = self._parser.should_keep_alive()
        kept = KEPT_S
        if (said := answer.headers.get("keep-alive")) is not None and (found := _KEEP_ALIVE.search(said.lower())) is not None:
            # Earlier than the host, so that it does not close while a request is on its way.
            kept = min(kept, int(found[1]) - 1.0)
        self.kept_until = self._loop.time() + kept
        answer.end()


def _remembered(name: bytes) -> str:
    lower = name.lower().decode("latin-1")
    if len(_names) < 512:
        _names[name] = lower
    return lower
