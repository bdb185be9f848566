"""One upstream call, from its bytes to its last event."""

from __future__ import annotations

import asyncio
import time

import msgspec

from llm_gateway.core.chat import ChatResponse
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, Overloaded
from llm_gateway.core.events import Done, Event, Frame, replay
from llm_gateway.core.redact import KeyFilter, redact
from llm_gateway.policies.deadline import Clocks
from llm_gateway.policies.lengths import UNKNOWN, Lengths
from llm_gateway.wires import glances, menders, meters, wires

from .bill import Evidence
from .prepare import Prepared
from .tally import Tally
from .ticket import Ticket
from .transport import Upstream, UpstreamResponse
from .until import Until

_K = FailureClass
_REQUEST_IDS = ("x-request-id", "request-id", "x-goog-request-id", "cf-ray")


class Attempt:
    """Use: ``await begin()``; then either :attr:`body` / :attr:`response` hold a whole answer, or :attr:`held` the first frames with
    content and :meth:`more` brings the rest. Every fault is :class:`AttemptFailed`. End with :meth:`finish` or :meth:`abort`."""

    __slots__ = (
        "_chunks", "_clock", "_decoder", "_filter", "_last_event", "_marked", "_response", "_scope", "_started", "aborted", "body",
        "bytes_received", "clocks", "first_event_ms", "held", "lengths", "prepared", "request_sent", "response", "started_at", "status",
        "tally", "target", "ticket", "unmarked", "upstream_request_id",
    )  # fmt: skip

    def __init__(
        self, ticket: Ticket, prepared: Prepared, clocks: Clocks, keep_text: bool, lengths: Lengths = UNKNOWN, *, marked: bool = False
    ) -> None:
        """``ticket``: the admission it runs on, which it owns. ``marked``: its target's streams end with a mark of their own."""
        self.ticket = ticket
        target = self.target = ticket.target
        self.lengths = lengths
        self.prepared = prepared
        self._marked = marked
        self.tally = Tally(keep_text, self._marked)
        self.held: list[Frame] = []
        self.response: ChatResponse | None = None
        self.body: bytes | None = None
        self.bytes_received = 0
        self.status: int | None = None
        self.first_event_ms: int | None = None
        self.upstream_request_id = ""
        self.request_sent = False
        self.aborted: Failure | None = None
        # The provider finished without its format's end mark.
        self.unmarked = False
        self.started_at = time.time()
        self.clocks = clocks
        self._clock = asyncio.get_running_loop().time
        self._started = self._last_event = self._clock()
        self._response: UpstreamResponse | None = None
        self._scope: Until | None = None
        self._filter = KeyFilter(target.credential.secret.reveal())

    @property
    def elapsed_ms(self) -> int:
        return round((self._clock() - self._started) * 1000)

    def evidence(self) -> Evidence:
        """What is known of it by now."""
        tally = self.tally
        return Evidence(
            target=self.target,
            started_at=self.started_at,
            latency_ms=self.elapsed_ms,
            ttft_ms=self.first_event_ms,
            status=self.status,
            request_sent=self.request_sent,
            streamed=self.prepared.streamed,
            upstream_request_id=self.upstream_request_id,
            bytes_received=self.bytes_received,
            content=tally.content,
            finished=tally.finish is not None,
            chars=tally.chars,
            usage=tally.usage,
            lengths=self.lengths,
        )

    async def begin(self, upstream: Upstream) -> None:
        clocks = self.clocks
        first = self._started + min(clocks.first_event_ms, clocks.total_ms) / 1000
        wait = "total" if clocks.first_event_ms >= clocks.total_ms else "first"
        provider = self.target.provider
        prepared = self.prepared
        self.request_sent = True
        try:
            with Until(first) as self._scope:
                response = self._response = await upstream.send(
                    prepared.method,
                    prepared.url,
                    prepared.headers,
                    prepared.body,
                    connect_s=clocks.connect_ms / 1000,
                    allow_private=provider.allow_private,
                )
                if self.aborted is not None:
                    # Hung up on in the very moment the head came.
                    raise AttemptFailed(self.aborted)
                self.status = response.status
                self._note(response)
                if response.status >= 300:
                    await self._refused(response)
                kind = response.headers.get("content-type", "")
                if "json" in kind or not self._comes_streamed(kind):
                    await self._whole(response, kind)
                    return
                if "html" in kind:
                    raise self._no_answer(await response.read())
        except TimeoutError:
            self._hang_up()
            raise AttemptFailed(self.aborted or self._timed_out(wait)) from None
        except AttemptFailed as error:
            if self.aborted is not None:
                self._hang_up()
                raise AttemptFailed(self.aborted) from None
            if error.failure.kind in (_K.CONNECT_REFUSED, _K.CONNECT_TIMEOUT, _K.DNS, _K.TLS, _K.CONFIG):
                self.request_sent = False
            self._hang_up()
            raise AttemptFailed(self.clean(error.failure)) from None
        except Overloaded:
            self.request_sent = False
            raise
        except BaseException:
            self._hang_up()
            raise
        finally:
            self._scope = None
        self._chunks = response.chunks()
        self._decoder = wires.get(provider.wire).stream_decoder()
        while not (self.tally.content or self.tally.done):
            frames = self.tally.add(await self._next(first))
            if self.tally.failure and not self.tally.content:
                self._hang_up()
                raise AttemptFailed(self.clean(self.tally.failure))
            self.held += frames
        self.first_event_ms = self.elapsed_ms

    def _comes_streamed(self, content_type: str) -> bool:
        """Some hosts stream whatever they were asked for."""
        return self.prepared.streamed or (self.prepared.kind == "chat" and "event-stream" in content_type)

    async def more(self) -> list[Frame]:
        """The next frames, already in the tally; after ``Done`` there are none."""
        return self.tally.add(await self._next(0.0))

    async def finish(self) -> None:
        """The answer is complete: let the connection go back to the pool, briefly waiting for the last chunk."""
        if self._response is None:
            return
        try:
            with Until(asyncio.get_running_loop().time() + 0.05):
                async for part in self._chunks:
                    self.bytes_received += len(part)
        except (TimeoutError, AttemptFailed):
            self._response.close()

    def abort(self, failure: Failure | None = None) -> None:
        """Hang up now. With ``failure``, whoever waits in :meth:`begin` or :meth:`more` gets it."""
        self.aborted = self.aborted or failure
        if failure is not None and self._scope is not None:
            self._scope.pass_now()
        self._hang_up()

    async def _next(self, first: float) -> list[Frame]:
        """At least one frame that means something. ``first``: deadline of the first event of all."""
        clocks = self.clocks
        total = self._started + clocks.total_ms / 1000
        loop = asyncio.get_running_loop()
        waiting = self.first_event_ms is None and not self.tally.model
        frames: list[Frame] = []
        heard = False
        while True:
            until = min(first if waiting else self._last_event + clocks.idle_ms / 1000, total)
            try:
                with Until(until):
                    data = await anext(self._chunks, None)
            except TimeoutError:
                self._hang_up()
                raise AttemptFailed(self._timed_out("total" if until == total else "first" if waiting else "idle", heard)) from None
            except AttemptFailed as error:
                self._hang_up()
                raise AttemptFailed(self.aborted or self.clean(error.failure)) from None
            if self.aborted:
                raise AttemptFailed(self.aborted)
            if data is None:
                try:
                    if kept := self._filter.rest():
                        frames += self._decoder.feed(kept)
                    return frames + self._ended()
                except AttemptFailed as error:
                    raise AttemptFailed(self.clean(error.failure)) from None
            heard = True
            self.bytes_received += len(data)
            try:
                new = self._decoder.feed(self._filter.feed(data))
            except AttemptFailed as error:
                self._hang_up()
                raise AttemptFailed(self.clean(error.failure)) from None
            frames += new
            for frame in new:
                if frame.events:
                    self._last_event = loop.time()
                    return frames

    def _ended(self) -> list[Frame]:
        """The frames of the stream's end; after a finish reason a missing end mark is made up for (U33)."""
        # An event that was cut before it said anything is not the caller's.
        frames: list[Frame] = [frame for frame in self._decoder.close() if frame.events]
        if self._marked:
            self.unmarked = any(not frame.raw and frame.events for frame in frames)
        if not any(frame.events for frame in frames):
            if self.tally.finish is None:
                raise AttemptFailed(Failure(kind=_K.NO_TERMINAL, message="the stream ended without its end mark"))
            self.unmarked = True
            frames.append(Frame(b"", (Done(),)))
        return frames

    async def _whole(self, response: UpstreamResponse, kind: str) -> None:
        body = await response.read()
        self.bytes_received = len(body)
        body = self._filter.whole(body)
        if "json" not in kind and body.lstrip()[:1] not in (b"{", b"["):
            raise self._no_answer(body)
        self.first_event_ms = self.elapsed_ms
        self._response = None
        if self.prepared.kind != "chat":
            self.body = body
            if self.prepared.kind == "embeddings":
                self.tally.usage = meters.get(self.target.provider.wire)(body)
            self.tally.done = True
            return
        wire = self.target.provider.wire
        as_it_is = self.prepared.passthrough and not self.prepared.streamed
        if as_it_is and not self.tally.keep:
            glance = glances.find(wire)
            if glance is not None and (counted := glance(body)) is not None:
                self.tally.take(counted)
                self.body = self.tally.spoken.body = body
                return
        whole = wires.get(wire).decode_response(body)
        events: list[Event] = replay(whole)
        frames = [Frame(b"", tuple(events))]
        self.tally.add(frames)
        self.response = whole
        if as_it_is:
            self.body = menders.get(wire)(body) if wire in menders else body
        else:
            self.held = frames

    def _no_answer(self, body: bytes) -> AttemptFailed:
        """A page where an answer was due; its beginning is the evidence."""
        return AttemptFailed(Failure(kind=_K.BAD_CONTENT_TYPE, status=self.status, message=redact(body[:500].decode("utf-8", "replace"))))

    @property
    def passthrough(self) -> bool:
        """Whether the frames' own bytes are what the caller wants: not so when a host answered a stream request with one JSON body."""
        return self.prepared.passthrough and self.response is None

    async def _refused(self, response: UpstreamResponse) -> None:
        body = await response.read()
        self.bytes_received = len(body)
        if response.status < 400:
            raise AttemptFailed(Failure(kind=_K.REDIRECT, status=response.status))
        raise AttemptFailed(wires.get(self.target.provider.wire).decode_error(response.status, response.headers, body))

    def clean(self, failure: Failure) -> Failure:
        """Without our key, wherever the provider repeated it: only here is it known that odd words are a key."""
        secret = self.target.credential.secret.reveal()
        return msgspec.structs.replace(
            failure,
            message=redact(failure.message, secret),
            code=failure.code and redact(failure.code, secret, limit=200),
            param=failure.param and redact(failure.param, secret, limit=200),
        )

    def _timed_out(self, which: str, heard: bool = False) -> Failure:
        if which == "total":
            return Failure(kind=_K.DEADLINE if self.clocks.by_deadline else _K.TOTAL_TIMEOUT)
        if which == "first":
            return Failure(kind=_K.TTFB_TIMEOUT, message=f"nothing within {self.clocks.first_event_ms} ms")
        return Failure(kind=_K.SLOW_DRIP if heard else _K.IDLE_TIMEOUT, message=f"no event within {self.clocks.idle_ms} ms")

    def _note(self, response: UpstreamResponse) -> None:
        for name in _REQUEST_IDS:
            value = response.headers.get(name)
            if value:
                self.upstream_request_id = redact(value, self.target.credential.secret.reveal(), limit=100)
                return

    def _hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
