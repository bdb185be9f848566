"""Gateway processes over the test's own database, a simulator that outlives them, a crowd of callers, and a watchman over the budgets.

Every request names a model of its own (``chat/r17``, ``chat/r18-fault:fin@2``), so that the simulator's journal, the log and the callers'
own notes can be put side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from llm_gateway.simulator import ThreadedSimulator
from tests.support.rows import Rows

ROOT = Path(__file__).resolve().parents[2]
LEASE_S = 5


class Processes:
    """``python -m cogo.web`` any number of times on one listening socket."""

    def __init__(self, count: int, *, database: str = "", **environment: str) -> None:
        """``database``: another way to the test's database than the test's own."""
        from django.conf import settings
        from django.db import connection

        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        name = connection.settings_dict["NAME"]
        if database:
            pass
        elif connection.vendor == "sqlite":
            database = f"sqlite:///{name}"
        else:
            given = connection.settings_dict
            database = f"postgres://{given['USER']}@{given['HOST']}:{given['PORT']}/{name}"
        self._environment = {
            **os.environ,
            "COGO_VAR_DIR": str(settings.VAR_DIR),
            "DATABASE_URL": database,
            "COGO_LEASE_S": str(LEASE_S),
            "COGO_LOG_LEVEL": "CRITICAL",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        self._environment.pop("REDIS_URL", None)
        self._running: list[subprocess.Popen[bytes]] = []
        for _ in range(count):
            self.start()

    def start(self) -> None:
        fd = self._socket.fileno()
        command = [sys.executable, "-m", "cogo.web", "--fd", str(fd), "--grace", "3"]
        process = subprocess.Popen(command, cwd=ROOT, env=self._environment, pass_fds=(fd,), stderr=subprocess.DEVNULL)
        self._running.append(process)

    def kill(self, draw: random.Random) -> None:
        """One of them, as an OOM killer would; another takes its place."""
        victim = draw.choice(self._running)
        victim.kill()
        victim.wait()
        self._running.remove(victim)
        self.start()

    @contextlib.contextmanager
    def only(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Meanwhile this one takes every new connection: who accepts from a shared socket is up to the kernel. For moments only: who is
        stopped may hold a lock of the database."""
        others = [one for one in self._running if one is not process]
        for one in others:
            one.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for one in others:
                one.send_signal(signal.SIGCONT)

    @property
    def running(self) -> tuple[subprocess.Popen[bytes], ...]:
        return tuple(self._running)

    def wait_ready(self, seconds: float = 30) -> None:
        import httpx

        until = time.monotonic() + seconds
        with httpx.Client(trust_env=False, timeout=2) as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if http.get(f"{self.url}/readyz").status_code == 200:
                        return
                assert time.monotonic() < until, "the gateway does not become ready"
                assert all(p.poll() is None for p in self._running), "a gateway process ended"
                time.sleep(0.05)

    def stop(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        self._socket.close()


@dataclass
class Rig:
    simulator: ThreadedSimulator
    rows: Rows
    processes: Processes
    notes: dict[str, str] = field(default_factory=dict)
    stopped: bool = False

    def billed(self, rows: Any) -> int:
        """What the simulator says it bills for these log rows, in nano-USD (1 and 2 USD per million)."""
        tokens = {e["model"]: (e["input_tokens"], e["output_tokens"]) for e in self.simulator.journal}
        found = [tokens[row.asked_model.removeprefix("chat/")] for row in rows]
        return sum(i * 1000 + o * 2000 for i, o in found)

    def missing(self) -> set[str]:
        """Requests that the simulator received and the log does not know."""
        from llm_gateway.models import RequestLog

        received = {f"chat/{e['model']}" for e in self.simulator.journal if e["path"].endswith("/chat/completions")}
        return received - set(RequestLog.objects.values_list("asked_model", flat=True))


@contextlib.contextmanager
def rig(processes: int, *, database: str = "", **environment: str) -> Iterator[Rig]:
    with ThreadedSimulator(latency_ms=2, chunk_ms=1, seed=1) as simulator:
        rows = Rows(simulator)
        rows.fill()
        # Known beforehand: each row below belongs to this one model and its provider, whatever name is asked for.
        served = Processes(processes, database=database, **environment)
        try:
            served.wait_ready()
            yield Rig(simulator, rows, served)
        finally:
            served.stop()
            rows.empty()


MIX = ("", "", "", "", "-fault:fin@2", "-fault:status:500", "-fault:usage:none", "CANCEL", "STREAM", "STREAM")


class Crowd:
    """Callers, ``at_once`` at a time. ``notes`` afterwards: request name → what the caller saw."""

    def __init__(self, rig: Rig, keys: list[str], at_once: int, *, max_tokens: int = 8, seed: int = 1, patience: int = 1) -> None:
        self._rig = rig
        self._keys = keys
        self._gate = asyncio.Semaphore(at_once)
        self._max_tokens = max_tokens
        self._patience = patience
        self._draw = random.Random(seed)
        self.seen: Counter[str] = Counter()

    async def send(self, count: int, first: int = 0) -> None:
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(self._one(session, first + n) for n in range(count)))

    async def until(self, done: threading.Event, first: int = 0) -> int:
        """Keep sending until told to stop; returns how many."""
        timeout = aiohttp.ClientTimeout(total=30)
        number = first
        running: set[asyncio.Task[None]] = set()
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
            while not done.is_set():
                running.add(asyncio.ensure_future(self._one(session, number)))
                number += 1
                if len(running) >= 30:
                    _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*running)
        return number - first

    async def _one(self, session: aiohttp.ClientSession, number: int) -> None:
        kind = MIX[number % len(MIX)]
        name = f"r{number}" + (kind if kind.startswith("-") else "")
        stream = kind in ("STREAM", "CANCEL")
        said = [{"role": "user", "content": f"say {number}"}]
        body = {"model": f"chat/{name}", "max_tokens": self._max_tokens, "stream": stream, "messages": said}
        headers = {"Authorization": f"Bearer {self._keys[number % len(self._keys)]}"}
        async with self._gate:
            for _ in range(self._patience):
                saw = await self._ask(session, body, headers, leave=kind == "CANCEL")
                self.seen[saw] += 1
                if saw not in ("budget_in_flight", "overloaded"):
                    break
                # A caller that does as it is told, only hastier.
                await asyncio.sleep(self._draw.uniform(0.1, 0.4))
        self._rig.notes[name] = saw

    async def _ask(self, session: aiohttp.ClientSession, body: dict[str, Any], headers: dict[str, str], *, leave: bool) -> str:
        try:
            async with session.post(f"{self._rig.processes.url}/v1/chat/completions", json=body, headers=headers) as answer:
                if leave and answer.status == 200:
                    await answer.content.readany()
                    return "cancelled"
                text = await answer.read()
                return str(answer.status) if answer.status < 400 else _code(text)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__


def _code(text: bytes) -> str:
    import json

    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["error"]["code"])
    return text[:40].decode("utf-8", "replace")


class Watchman:
    """Looks at every budget each 10 ms, from a connection of its own: ``posted + held <= limit`` at each commit (M1)."""

    def __init__(self) -> None:
        self.looks = 0
        self.violations: list[str] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watchman:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join(10)

    def _watch(self) -> None:
        from django.db import connection

        from llm_gateway.models import Budget

        try:
            while not self._done.wait(0.01):
                self.looks += 1
                for name, limit, posted, held in Budget.objects.filter(hard=True).values_list(
                    "name", "limit_nusd", "posted_nusd", "held_nusd"
                ):
                    if posted + held > limit:
                        self.violations.append(f"{name}: {posted} + {held} > {limit}")
        finally:
            connection.close()


def broken() -> list[str]:
    """What the auditor finds."""
    from llm_gateway.actions.audit import audit

    return [f"{f.code} {f.title}: {f.offenders}" for f in audit(strict=True) if not f.ok]


def settled(seconds: float) -> float:
    """Seconds until nothing is open or held."""
    from llm_gateway.models import LedgerEntry, RequestLog

    began = time.monotonic()
    while RequestLog.objects.filter(state="open").exists() or LedgerEntry.objects.filter(state="held").exists():
        assert time.monotonic() - began < seconds, list(RequestLog.objects.filter(state="open").values_list("asked_model", "worker"))[:10]
        time.sleep(0.05)
    return time.monotonic() - began
