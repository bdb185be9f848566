"""What the scoreboard measures with: the gateway and a provider simulator as processes of their own, and callers that keep time."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx

from llm_gateway.simulator.server import Simulator
from tests.reliability.knocking import Lines
from tests.support.process import Process
from tests.support.rows import Rows
from tests.support.speaking import auth, request


class Apart:
    """A simulator in a process of its own."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._address = Simulator(port=port)
        command = [sys.executable, "manage.py", "simulate", "--port", str(port), "--latency-ms", "0", "--chunk-ms", "0"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(self.url("/_sim/healthz"), trust_env=False).status_code == 200:
                    return
            if time.monotonic() > deadline:
                raise RuntimeError("the simulator does not start")
            time.sleep(0.05)

    def url(self, path: str = "") -> str:
        return self._address.url(path)

    def base_url(self, provider: str) -> str:
        return self._address.base_url(provider)

    def journal(self, model: str = "") -> list[dict[str, Any]]:
        """Generations received, of one model where it is named."""
        entries = httpx.get(self.url("/_sim/journal"), trust_env=False, timeout=30).json()["entries"]
        return [one for one in entries if one["method"] == "POST" and (not model or one["model"] == model)]

    def control(self, what: str, **fields: Any) -> None:
        """As Simulator.control."""
        httpx.post(self.url(f"/_sim/{what}"), json=fields, trust_env=False).raise_for_status()

    def forget(self) -> None:
        httpx.delete(self.url("/_sim/journal"), trust_env=False)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@dataclass
class Bench:
    """``gateway()`` starts a process over the rows; more targets may be added before."""

    simulator: Apart
    rows: Rows
    running: list[Process] = field(default_factory=list)

    @contextlib.contextmanager
    def gateway(self, drain_s: int = 1) -> Iterator[Process]:
        self.rows.all_healthy()
        process = Process(drain_s)
        try:
            yield process
        finally:
            if process.process.poll() is None:
                process.told(15)
                process.ended(15)


def alias(bench: Bench, name: str, *targets: tuple[str, str]) -> str:
    bench.rows.alias(name, targets)
    return name


def share(values: Sequence[float], part: float) -> float:
    """A percentile; NaN of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * part) - 1)] if ordered else math.nan


@dataclass
class Heard:
    """``late_ms``: how much later than planned the caller itself was in sending."""

    status: int
    ms: float
    retry_after: bool = False
    late_ms: float = 0.0


def call(model: str, key: str, *, stream: bool = False) -> tuple[str, dict[str, Any], dict[str, str]]:
    path, body = request("openai_chat", model, "say 5 words", stream)
    return path, body, auth("openai_chat", key)


Asks = Callable[[int], tuple[str, dict[str, Any], dict[str, str]]]


async def steadily(port: int, what: Asks, rate: float, seconds: float) -> list[Heard]:
    """Open loop: a request each 1/rate seconds, however long the answers take."""
    heard: list[Heard] = []
    lines = Lines(port)
    loop = asyncio.get_running_loop()
    start = loop.time()

    async def one(number: int) -> None:
        late_ms = (loop.time() - start - number / rate) * 1000
        heard.append(await _one(lines, *what(number), late_ms=late_ms))

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
            group.create_task(one(number))
    lines.close()
    return heard


async def closely(port: int, what: Asks, number: int, at_once: int) -> list[Heard]:
    """Closed loop: the next request follows an answer, ``at_once`` of them side by side."""
    heard: list[Heard] = []
    turns = iter(range(number))
    lines = Lines(port)

    async def caller() -> None:
        heard.extend([await _one(lines, *what(turn)) for turn in turns])

    await asyncio.gather(*(caller() for _ in range(at_once)))
    lines.close()
    return heard


async def _one(lines: Lines, path: str, body: dict[str, Any], headers: dict[str, str], late_ms: float = 0.0) -> Heard:
    began = time.perf_counter()
    status, head = await lines.ask(path, body, headers, 30)
    return Heard(status, (time.perf_counter() - began) * 1000, b"\r\nretry-after:" in head, late_ms)


async def liveness(port: int, seconds: float) -> list[float]:
    """How long ``/healthz`` takes, ten times a second."""
    took = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            async with session.get("/healthz") as answer:
                await answer.read()
            took.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.1)
    return took
