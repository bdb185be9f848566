"""Who calls: kept connections, one request each at a time, the next one after the answer (a closed loop; nobody waits in a queue of ours).

Times are in seconds of the wall clock. Only answers that are whole and 200 count."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
import uvloop
from typing_extensions import override

_EVENT = b"data: "
PATIENCE_S = 30.0


def request(port: int, path: str, headers: Mapping[str, str], model: str, *, stream: bool = False) -> bytes:
    """A chat call of 0.2 KB."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer briefly."},
            {"role": "user", "content": "Say in a few sentences what a hold on a budget is good for."},
        ],
        "temperature": 0.7,
        "max_tokens": 256,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    text = json.dumps(body, separators=(",", ":")).encode()
    fields = {"host": f"127.0.0.1:{port}", "content-type": "application/json", **headers, "content-length": str(len(text))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + text


@dataclass
class Load:
    """What callers saw. ``took``: each answer's time; ``first``: each stream's time to its first event."""

    took: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    events: int = 0
    bad: int = 0


class Line(asyncio.Protocol):
    """One connection. ``told``: called at the end of each answer, with whether it was whole and 200."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[bool] | None = None
        self._begun = 0.0
        self._tail = b""
        self._heard = False
        self.events = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one without descending from it.
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, data: bytes) -> asyncio.Future[bool]:
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        self._tail, self._heard, self.events = b"", False, 0
        self._begun = time.perf_counter()
        if self._transport is None:
            self._end(False)
        else:
            self._transport.write(data)
        return self._answer

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end(False)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end(False)

    def on_body(self, data: bytes) -> None:
        # An event's first word may come in two pieces.
        text = self._tail + data
        found = text.count(_EVENT)
        self._tail = text[-(len(_EVENT) - 1) :]
        if found:
            if not self._heard:
                self._heard = True
                self._load.first.append(time.perf_counter() - self._begun)
            self.events += found
            self._load.events += found

    def on_message_complete(self) -> None:
        self._load.took.append(time.perf_counter() - self._begun)
        self._end(self._parser.get_status_code() == 200)

    def _end(self, good: bool) -> None:
        if self._answer is not None and not self._answer.done():
            self._load.bad += not good
            self._answer.set_result(good)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def _line(port: int, load: Load) -> Line:
    _, line = await asyncio.get_running_loop().create_connection(lambda: Line(load), "127.0.0.1", port)
    return line


async def _closely(port: int, data: bytes, callers: int, seconds: float) -> Load:
    load = Load()
    lines = [await _line(port, load) for _ in range(callers)]
    until = time.perf_counter() + seconds

    async def caller(line: Line) -> None:
        # Whoever is refused does not ask again at once: a round with a refusal does not count, anyway.
        while time.perf_counter() < until and await line.ask(data):
            pass

    await _patiently(asyncio.gather(*map(caller, lines)), load, seconds + PATIENCE_S)
    for line in lines:
        line.close()
    return load


async def _patiently(work: Awaitable[Any], load: Load, seconds: float = PATIENCE_S) -> None:
    """What does not end in time is as bad as a refusal."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        load.bad += 1


@dataclass
class Window:
    """The time in which all streams were open, and what came in it."""

    opened: Any
    closed: Any
    events: int
    load: Load


async def _streams(port: int, data: bytes, number: int, spread_s: float, window_s: float, look: Callable[[], Any]) -> Window:
    load = Load()
    lines: list[Line] = []
    answers = []
    began = time.perf_counter()
    for at in range(number):
        await asyncio.sleep(max(0.0, began + spread_s * at / number - time.perf_counter()))
        lines.append(await _line(port, load))
        answers.append(lines[-1].ask(data))

    async def all_open() -> None:
        while len(load.first) < number and not load.bad:
            await asyncio.sleep(0.01)

    await _patiently(all_open(), load)
    opened, events = look(), load.events
    if not load.bad:
        await asyncio.sleep(window_s)
    closed, events = look(), load.events - events
    # One that ended early would make the figures of the others.
    load.bad += sum(answer.done() for answer in answers)
    if not load.bad:
        await _patiently(asyncio.gather(*answers), load)
    for line in lines:
        line.close()
    return Window(opened, closed, events, load)


async def _one_by_one(port: int, data: bytes, number: int) -> Load:
    load = Load()
    line = await _line(port, load)

    async def caller() -> None:
        for _ in range(number):
            if not await line.ask(data):
                break

    await _patiently(caller(), load)
    line.close()
    return load


def closely(port: int, data: bytes, callers: int, seconds: float) -> Load:
    return _run(_closely(port, data, callers, seconds))


def one_by_one(port: int, data: bytes, number: int) -> Load:
    """So many answers on one connection."""
    return _run(_one_by_one(port, data, number))


def streams(port: int, data: bytes, number: int, *, spread_s: float, window_s: float, look: Callable[[], Any]) -> Window:
    """``number`` streams, opened over ``spread_s``; ``look`` is asked when all are open and ``window_s`` later."""
    return _run(_streams(port, data, number, spread_s, window_s, look))


def _run(work: Any) -> Any:
    # A collection here would look like a pause there.
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    finally:
        gc.enable()


def share(values: Sequence[float], part: float) -> float:
    """A percentile; NaN of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * part) - 1)] if ordered else math.nan
