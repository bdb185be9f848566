"""Server-sent events to a caller of the native API: ``start``, ``delta``, ``thinking``, then ``done`` or ``error``; comments while idle.

An error ends the stream without ``done``. ``thinking`` is the model's own reasoning where its provider shows it, shaped like ``delta``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from django.conf import settings
from django.http import StreamingHttpResponse
from typing_extensions import override

from llm_gateway.api.refusal import native_body
from llm_gateway.core import json
from llm_gateway.core.errors import GatewayError, InternalError
from llm_gateway.core.events import Event, RefusalDelta, TextDelta, ThinkingDelta
from llm_gateway.core.sse import HEARTBEAT, encode_event
from llm_gateway.engine.calls import StreamAnswer, Summary

log = logging.getLogger("cogo.api")
T = TypeVar("T")


def event(name: str, data: Any) -> bytes:
    return encode_event(json.dumps(data), name)


def deltas(events: Iterable[Event]) -> bytes:
    """Content as SSE; what is not text says nothing here."""
    said = bytearray()
    for one in events:
        match one:
            case TextDelta() | RefusalDelta() if one.text:
                said += event("delta", {"content": one.text})
            case ThinkingDelta() if one.text:
                said += event("thinking", {"content": one.text})
    return bytes(said)


class Opened:
    """A stream that has begun upstream and has to be closed by somebody: by :meth:`events` once that is iterated, else when this is dropped
    (a caller may leave before its response is read at all)."""

    __slots__ = ("_loop", "_taken", "answer")

    def __init__(self, answer: StreamAnswer) -> None:
        self.answer = answer
        self._taken = False
        self._loop = asyncio.get_running_loop()

    async def events(self) -> AsyncGenerator[list[Event], None]:
        """Batches of events; closes the upstream however it ends."""
        self._taken = True
        try:
            async for batch in self.answer.frames:
                yield [one for frame in batch for one in frame.events]
        finally:
            await self.answer.frames.aclose()

    def __del__(self) -> None:
        if not self._taken and not self._loop.is_closed():
            frames = self.answer.frames
            self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(frames.aclose()))

    def summary(self) -> Summary:
        """After the last batch."""
        if self.answer.summary is None:
            raise InternalError
        return self.answer.summary


async def told(source: AsyncGenerator[bytes, None], request_id: object) -> AsyncGenerator[bytes, None]:
    """``source`` with heartbeats while it is silent and, should it fail, the error event that ends it."""
    try:
        async with aclosing(beating(source, settings.COGO["heartbeat_s"])) as beats:
            async for chunk in beats:
                yield HEARTBEAT if chunk is None else chunk
    except GatewayError as error:
        yield event("error", native_body(error, request_id))
    except Exception:
        log.exception("a stream failed", extra={"request_id": str(request_id)})
        yield event("error", native_body(InternalError(), request_id))


async def beating(source: AsyncGenerator[T, None], every_s: float) -> AsyncGenerator[T | None, None]:
    """``source``, and ``None`` whenever it has been silent for ``every_s`` seconds. One task steps it from beginning to end, at most one
    item ahead; when the reader leaves, that task is ended and waited for."""
    queue: asyncio.Queue[T | BaseException | None] = asyncio.Queue(maxsize=1)

    async def pump() -> None:
        try:
            async for item in source:
                await queue.put(item)
            await queue.put(None)
        except Exception as error:  # handed to the reader, who raises it
            await queue.put(error)
        finally:
            with suppress(Exception):
                await source.aclose()

    task = asyncio.ensure_future(pump())
    try:
        while True:
            try:
                async with asyncio.timeout(every_s):
                    item = await queue.get()
            except TimeoutError:
                yield None
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


class EventStream(StreamingHttpResponse):
    """Iterates its source itself: Django's own wrappers around it would not close it when the caller leaves."""

    def __init__(self, source: AsyncGenerator[bytes, None], request_id: object, headers: dict[str, str]) -> None:
        self._told = told(source, request_id)
        super().__init__(self._told, content_type="text/event-stream; charset=utf-8", headers=headers)
        self["cache-control"] = "no-cache, no-store"
        self["x-accel-buffering"] = "no"

    def hand_over(self, taken: Any) -> AsyncGenerator[bytes, None]:
        """Give ``taken`` (which has ``aclose``) to the caller; who asked iterates the source in its place, and closes it."""
        source, self._told = self._told, taken
        self.streaming_content = taken
        return source

    @override
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._told


async def relayed(opened: Opened, start: dict[str, Any], said: list[str]) -> AsyncGenerator[bytes, None]:
    """``start``, then content as it comes; ``said`` collects its text."""
    async with aclosing(opened.events()) as batches:
        head = event("start", start)
        async for batch in batches:
            said += [one.text for one in batch if isinstance(one, TextDelta | RefusalDelta)]
            chunk = head + deltas(batch)
            head = b""
            if chunk:
                yield chunk
