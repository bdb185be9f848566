"""Runner processes over the test's own database, with a simulator that outlives them; batches are made without a web process."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_gateway.simulator import ThreadedSimulator
from tests.support.rows import Rows

ROOT = Path(__file__).resolve().parents[2]
LEASE_S = 5


class Runners:
    def __init__(self, count: int, places: int = 32) -> None:
        from django.conf import settings
        from django.db import connection

        given = connection.settings_dict
        name = given["NAME"]
        database = (
            f"sqlite:///{name}" if connection.vendor == "sqlite" else f"postgres://{given['USER']}@{given['HOST']}:{given['PORT']}/{name}"
        )
        self._environment = {
            **os.environ,
            "COGO_VAR_DIR": str(settings.VAR_DIR),
            "DATABASE_URL": database,
            "COGO_LEASE_S": str(LEASE_S),
            "COGO_LOG_LEVEL": "CRITICAL",
            "PYTHONPATH": str(ROOT),
        }
        self._places = places
        self.running: list[subprocess.Popen[bytes]] = []
        for _ in range(count):
            self.start()

    def start(self) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), "run_batches", "--places", str(self._places)]
        self.running.append(
            subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    def kill(self, draw: random.Random) -> None:
        """One of them, as an OOM killer would; another takes its place."""
        victim = draw.choice(self.running)
        victim.kill()
        victim.wait()
        self.running.remove(victim)
        self.start()

    def memory_kb(self, field: str = "VmHWM") -> int:
        found = []
        for one in self.running:
            status = Path(f"/proc/{one.pid}/status").read_text()
            found.append(int(next(line.split()[1] for line in status.splitlines() if line.startswith(field))))
        return max(found)

    def cpu_s(self) -> float:
        """Of all of them so far."""
        ticks = 0
        for one in self.running:
            parts = Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(parts[11]) + int(parts[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        for one in self.running:
            one.send_signal(signal.SIGTERM)
        for one in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(15)
            one.kill()
            one.wait()


class Shop:
    """Makes batches as the key of ``text``."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def batch(self, lines: Iterable[bytes], key: str = "tester", endpoint: str = "/v1/chat/completions", **metadata: str) -> Any:
        from llm_gateway.actions.create_batch import AskedBatch, create_batch
        from llm_gateway.models import ClientKey
        from llm_gateway.stores import files
        from llm_gateway.stores.catalog import SnapshotCatalog

        catalog = SnapshotCatalog(lambda _: None)
        catalog.refresh()
        row = ClientKey.objects.get(name=key)
        identity = catalog.snapshot().clients[row.public_id][1]
        now = datetime.now(UTC)
        file = files.begin(identity, now, name="in.jsonl", purpose="batch")
        files.write_whole(file, (line + b"\n" for line in lines))
        asked = AskedBatch(dialect="openai", endpoint=endpoint, file=file, metadata=metadata or None)
        return create_batch(identity, asked, catalog.snapshot(), now)


def line(number: int, model: str, text: str = "say", max_tokens: int = 8) -> bytes:
    body = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": f"{text} {number}"}]}
    return json.dumps({"custom_id": f"c{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}).encode()


@contextlib.contextmanager
def shop(latency_ms: float = 0) -> Iterator[tuple[ThreadedSimulator, Shop]]:
    with ThreadedSimulator(latency_ms=latency_ms, chunk_ms=0, seed=1) as simulator:
        rows = Rows(simulator)
        rows.fill()
        try:
            yield simulator, Shop(rows)
        finally:
            rows.empty()


def until_ended(batches: list[Any], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    for batch in batches:
        while True:
            batch.refresh_from_db()
            if batch.ended_at is not None:
                break
            told = {name: getattr(batch, name) for name in ("state", "queued", "running", "completed", "failed", "pause_reason")}
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
