"""T15 with a process that really dies in the middle of an execution."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from .serving import Served, eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the process to kill"),
]


def ask(gateway: Served, **headers: str) -> httpx.Response | None:
    """``None`` when nobody answered."""
    body = {"prompt": "A long program.", "max_tokens": 200}
    sent = {**gateway.headers, "idempotency-key": "the-one", **headers}
    with suppress(httpx.TransportError):
        return httpx.post(f"{gateway.url}/api/ai-models/generate", headers=sent, json=body, timeout=30)
    return None


def code(answer: httpx.Response | None) -> str | None:
    return answer.json()["error"]["code"] if answer is not None and answer.status_code >= 400 else None


def test_after_a_kill_the_outcome_is_unknown_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    with Served(tmp_path, "--simulate", "--no-local-model", COGO_LEASE_S="5") as gateway:
        line = next(line for line in gateway.lines if "/_sim/personality/fireworks" in line)
        switch = line.split("curl ")[1].split()[0].replace("fireworks", "all")
        journal = switch.partition("/_sim/")[0] + "/_sim/journal"

        def calls() -> int:
            entries = httpx.get(journal).json()["entries"]
            return sum(
                entry["path"].endswith(("chat/completions", "messages", "responses")) and entry["method"] == "POST" for entry in entries
            )

        httpx.post(switch, json={"latency_ms": 8000}).raise_for_status()
        before = calls()
        worker = gateway.pid_of("cogo.web")
        first = threading.Thread(target=ask, args=(gateway,))
        first.start()
        eventually(lambda: calls() == before + 1)
        assert code(ask(gateway)) == "idempotency_in_flight"
        os.kill(worker, signal.SIGKILL)
        first.join()
        httpx.post(switch, json={"latency_ms": 0}).raise_for_status()
        told = []
        until = time.monotonic() + 30
        while "idempotency_unknown_outcome" not in told:
            assert time.monotonic() < until, told
            told.append(code(ask(gateway)))
            time.sleep(0.3)
        assert set(told) <= {None, "idempotency_in_flight", "idempotency_unknown_outcome"}
        assert calls() == before + 1, "sent once, whoever asked and however often"
        again = ask(gateway, **{"x-cogo-reexecute": "true"})
        assert again is not None
        assert again.status_code == 200
        assert calls() == before + 2
        replay = ask(gateway)
        assert replay is not None
        assert (replay.headers["x-cogo-idempotent-replay"], replay.content) == ("true", again.content)
