"""One upstream call, from its bytes to its last event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from llm_gateway.core import json
from llm_gateway.core.catalog import Target
from llm_gateway.core.chat import ChatResponse
from llm_gateway.core.errors import AttemptFailed, Failure, FailureClass, GatewayError, UnsupportedParameter
from llm_gateway.core.events import Done, Event, Frame, replay
from llm_gateway.core.redact import redact
from llm_gateway.policies.deadline import Clocks
from llm_gateway.policies.lengths import UNKNOWN, Lengths
from llm_gateway.providers import services
from llm_gateway.providers._base import join_url
from llm_gateway.wires import (
    Edits,
    Inbound,
    ModelFacts,
    Wire,
    counters,
    embedders,
    fitted,
    issuer_of,
    menders,
    meters,
    wires,
    without_tokens,
)  # fmt: skip

from .calls import Call
from .tally import Tally
from .transport import Upstream, UpstreamResponse

_K = FailureClass
_REQUEST_IDS = ("x-request-id", "request-id", "x-goog-request-id", "cf-ray")


class Prepared(msgspec.Struct, frozen=True):
    """A request ready to go. ``passthrough``: the provider's bytes are the caller's format; ``streamed``: the upstream call is a stream."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    passthrough: bool
    streamed: bool
    kind: str = "chat"
    bare: bool = False


def prepare(
    call: Call,
    target: Target,
    ceiling: int | None,
    force_stream: bool = False,
    strangers: Callable[[str], bool] | None = None,
    bare: bool = False,
) -> Prepared:
    """Build the provider's request. ``ceiling``: a limit on output tokens to set. ``strangers``: tells thinking tokens of the history that
    another provider made; ``bare``: leave all of them out. Raises :class:`UnsupportedParameter` when this target
    cannot do what the caller asks."""
    provider = target.provider
    service = services.get(provider.service)
    wire = wires.get(provider.wire)
    inbound = call.inbound
    facts = model_facts(target)
    limit = inbound.max_tokens if ceiling is None else min(ceiling, inbound.max_tokens or ceiling)
    cap = service.facts.non_stream_cap
    chat_like = inbound.kind == "chat"
    streamed = chat_like and (call.stream or force_stream or (cap is not None and (limit is None or limit > cap)))
    same = bool(inbound.body) and inbound.dialect == wire.name
    cut = same and chat_like and not facts.stop and bool(_stops(inbound))
    passthrough = same and call.raw and not cut and not (call.stream and inbound.stream_form != "sse")
    if same:
        sent = inbound.sent if inbound.sent_for == target.credential.id else inbound.body
        edits = Edits(
            facts=facts,
            stream=streamed,
            include_usage=streamed,
            max_tokens=ceiling,
            foreign=_any_token if bare else strangers,
            drop=("stop",) if cut else (),
        )
        body = service.adapt(wire.name, wire.edit_request(sent, edits))
    elif not chat_like:
        body = json.dumps(_translated(call, wire, facts))
    else:
        chat = fitted(without_tokens(inbound.chat()) if bare else inbound.chat(), wire.name, facts).chat
        changes: dict[str, Any] = {"stream": streamed, "include_usage": streamed, "model": target.upstream_id}
        if call.sticky or inbound.affinity:
            changes["session"] = call.sticky or inbound.affinity
        if limit != chat.max_tokens:
            changes["max_tokens"] = limit
        body = json.dumps(wire.encode_request(msgspec.structs.replace(chat, **changes), facts))
    return Prepared(
        "POST",
        join_url(provider.base_url, wire.path("embedding" if same and inbound.single else inbound.kind, facts, streamed)),
        service.headers(wire.name, target.credential.secret, call.headers),
        body,
        passthrough,
        streamed,
        inbound.kind,
        bare,
    )


def _any_token(token: str) -> bool:
    return True


def _stops(inbound: Inbound) -> tuple[str, ...]:
    """The caller's stop sequences; of a body that cannot be read, none: the provider says what is wrong with it."""
    if b'"stop"' not in inbound.body:
        return ()
    try:
        return inbound.chat().stop
    except GatewayError:
        return ()


def _translated(call: Call, wire: Wire, facts: ModelFacts) -> dict[str, Any]:
    """A request without generation for a provider of another format."""
    inbound = call.inbound
    if inbound.kind == "embeddings" and inbound.embedding is not None and wire.name in embedders:
        return embedders.get(wire.name).encode_request(inbound.embedding(), facts)
    if inbound.kind == "count_tokens" and wire.name in counters:
        return counters.get(wire.name).encode_request(fitted(inbound.chat(), wire.name, facts).chat, facts)
    raise UnsupportedParameter(f"The model `{facts.upstream_id}` has no endpoint for {inbound.kind}.", param="model")


def model_facts(target: Target) -> ModelFacts:
    """The service's knowledge of a model with the catalogue's own figures laid over it."""
    model = target.model
    facts = _facts(
        target.provider.service, target.provider.wire, target.upstream_id, model.context_window, model.max_output_tokens, model.capabilities
    )
    return msgspec.structs.replace(facts, issuer=issuer_of(target.provider.slug, target.upstream_id))


@lru_cache(maxsize=4096)
def _facts(service: str, wire: str, upstream_id: str, window: int | None, limit: int | None, capabilities: frozenset[str]) -> ModelFacts:
    facts = services.get(service).model_facts(wire, upstream_id)
    return msgspec.structs.replace(
        facts,
        context_window=window if window is not None else facts.context_window,
        max_output_tokens=limit if limit is not None else facts.max_output_tokens,
        capabilities=capabilities | facts.capabilities if capabilities else facts.capabilities,
    )


class Attempt:
    """Use: ``await begin()``; then either :attr:`body` / :attr:`response` hold a whole answer, or :attr:`held` the first frames with
    content and :meth:`more` brings the rest. Every fault is :class:`AttemptFailed`. End with :meth:`finish` or :meth:`abort`."""

    __slots__ = (
        "_chunks", "_decoder", "_last_event", "_marked", "_response", "_scope", "_started", "aborted", "body",
        "bytes_received", "clocks", "first_event_ms", "held", "lengths", "prepared", "request_sent", "response", "started_at", "status",
        "tally", "target", "unmarked", "upstream_request_id",
    )  # fmt: skip

    def __init__(self, target: Target, prepared: Prepared, clocks: Clocks, keep_text: bool, lengths: Lengths = UNKNOWN) -> None:
        self.target = target
        self.lengths = lengths
        self.prepared = prepared
        self._marked = bool(getattr(wires.get(target.provider.wire), "end_mark", b""))
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
        self._started = self._last_event = asyncio.get_running_loop().time()
        self._response: UpstreamResponse | None = None
        self._scope: asyncio.Timeout | None = None

    @property
    def elapsed_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self._started) * 1000)

    async def begin(self, upstream: Upstream) -> None:
        clocks = self.clocks
        first = self._started + min(clocks.first_event_ms, clocks.total_ms) / 1000
        wait = "total" if clocks.first_event_ms >= clocks.total_ms else "first"
        provider = self.target.provider
        prepared = self.prepared
        self.request_sent = True
        try:
            async with asyncio.timeout_at(first) as self._scope:
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
                if not prepared.streamed or "json" in kind:
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

    async def more(self) -> list[Frame]:
        """The next frames, already in the tally; after ``Done`` there are none."""
        return self.tally.add(await self._next(0.0))

    async def finish(self) -> None:
        """The answer is complete: let the connection go back to the pool, briefly waiting for the last chunk."""
        if self._response is None:
            return
        try:
            async with asyncio.timeout(0.05):
                async for part in self._chunks:
                    self.bytes_received += len(part)
        except (TimeoutError, AttemptFailed):
            self._response.close()

    def abort(self, failure: Failure | None = None) -> None:
        """Hang up now. With ``failure``, whoever waits in :meth:`begin` or :meth:`more` gets it."""
        self.aborted = self.aborted or failure
        if failure is not None and self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())
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
                async with asyncio.timeout_at(until):
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
                    return frames + self._ended()
                except AttemptFailed as error:
                    raise AttemptFailed(self.clean(error.failure)) from None
            heard = True
            self.bytes_received += len(data)
            try:
                new = self._decoder.feed(data)
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
        whole = wires.get(self.target.provider.wire).decode_response(body)
        events: list[Event] = replay(whole)
        frames = [Frame(b"", tuple(events))]
        self.tally.add(frames)
        self.response = whole
        if self.prepared.passthrough and not self.prepared.streamed:
            wire = self.target.provider.wire
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
