"""The relay needs nothing but its database: what runs beside it may die again and again or stand still, and every call is answered."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from llm_gateway.core.keys import compose_client_key

from .serving import Served, eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc"),
]


class Calls:
    """``with Calls(gateway, key) as calls:`` — one call after the other, each on a connection of its own, until the block ends."""

    def __init__(self, gateway: Served, key: str) -> None:
        self._url = f"{gateway.url}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self.answered = 0
        self.refused: list[str] = []

    def __enter__(self) -> Calls:
        self._thread.start()
        eventually(lambda: self.answered > 3)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(40)

    def _call(self) -> None:
        body = {"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
        while not self._stop.is_set():
            try:
                got = httpx.post(self._url, json=body, headers=self._headers, timeout=30, trust_env=False)
                if got.status_code == 200:
                    self.answered += 1
                else:
                    self.refused.append(f"{got.status_code} {got.text[:200]}")
            except httpx.HTTPError as error:
                self.refused.append(repr(error))

    def go_on(self) -> bool:
        """Whether ten more calls are answered."""
        before = self.answered
        eventually(lambda: self.answered >= before + 10, seconds=40)
        return True


def readiness(gateway: Served) -> dict:
    got = httpx.get(f"{gateway.url}/readyz", timeout=10, trust_env=False)
    assert got.status_code == 200, got.text
    return got.json()


def figures(gateway: Served) -> dict[str, float]:
    token = next(gateway.folder.rglob("secrets/cogo_metrics_token")).read_text().strip()
    headers = {"authorization": f"Bearer {token}"}
    text = httpx.get(f"{gateway.url}/metrics", headers=headers, timeout=10, trust_env=False).text
    pairs = (line.rpartition(" ") for line in text.splitlines() if line.startswith(("cogo_process_", "cogo_part_")))
    return {name: float(value) for name, _, value in pairs}


def web_workers(gateway: Served) -> list[int]:
    return sorted(pid for pid, line in gateway.processes().items() if "cogo.web" in line)


def cluster(gateway: Served) -> int | None:
    """The one that the supervisor started: those it forks have its command line, too, and some outlive it for a moment."""
    for pid, line in gateway.processes().items():
        if "qcluster" in line and f"cogo.tether {parent_of(pid)} " in line:
            return pid
    return None


def parent_of(pid: int) -> int:
    """0 where the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("relay")


@pytest.fixture(scope="module")
def key():
    return compose_client_key(os.urandom(48))[0]


@pytest.fixture(scope="module")
def gateway(folder, key):
    with Served(folder, "--simulate", "--no-local-model", "--workers", "2", COGO_BOOTSTRAP_CLIENT_KEY=key) as served:
        yield served


@pytest.fixture
def again(folder, gateway, key):
    """Another start over the same database, which is set up already."""
    if gateway.process.poll() is None:
        gateway.stop()
    return lambda **environment: Served(folder, "--simulate", "--no-local-model", COGO_BOOTSTRAP_CLIENT_KEY=key, **environment)


DOWN = "background work is down and will be started again (restarted 3 times)"


def both_say_that_it_is_down(gateway: Served, told: set[str], words: str) -> bool:
    """It is down for some seconds, in which a look at the one may be slow: ``told`` keeps who said so."""
    if any(words in one for one in readiness(gateway).get("troubles") or ()):
        told.add("readiness")
    if figures(gateway)['cogo_process_up{process="background work"}'] == 0:
        told.add("figures")
    return len(told) == 2


def test_a_task_cluster_that_is_killed_four_times_within_thirty_seconds_costs_no_call(gateway, key):
    webs = web_workers(gateway)
    with Calls(gateway, key) as calls:
        for time_ in range(4):
            pid = eventually(lambda: cluster(gateway), seconds=30)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda pid=pid: pid not in gateway.processes(), seconds=10)
            if time_ == 3:
                told: set[str] = set()
                eventually(lambda told=told: both_say_that_it_is_down(gateway, told, DOWN))
        assert calls.go_on()
        assert web_workers(gateway) == webs
        eventually(lambda: cluster(gateway), seconds=30)
        eventually(lambda: "troubles" not in readiness(gateway), seconds=10)
        # Readiness and figures may be told by two workers, of which each looks once a second.
        eventually(lambda: figures(gateway)['cogo_process_restarts_total{process="background work"}'] == 4, seconds=10)
    assert calls.refused == []
    assert gateway.process.poll() is None


def test_a_task_cluster_that_stands_still_costs_no_call_and_is_told(gateway, key):
    pid = eventually(lambda: cluster(gateway), seconds=30)
    with Calls(gateway, key) as calls:
        os.kill(pid, signal.SIGSTOP)
        try:
            assert calls.go_on()
            told: set[str] = set()
            eventually(lambda: both_say_that_it_is_down(gateway, told, "background work does not answer"), seconds=40)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        eventually(lambda: "troubles" not in readiness(gateway), seconds=20)
    assert calls.refused == []


def web_does_not_answer(told: Iterable[str]) -> bool:
    return any(line.startswith("web ") and "does not answer" in line for line in told)


def test_a_web_worker_that_stands_still_leaves_new_calls_to_its_sibling(gateway, key):
    stopped, other = web_workers(gateway)
    os.kill(stopped, signal.SIGSTOP)
    try:
        with Calls(gateway, key) as calls:
            eventually(lambda: web_does_not_answer(readiness(gateway).get("troubles") or ()), seconds=40)
            assert calls.go_on()
        assert calls.refused == []
    finally:
        os.kill(stopped, signal.SIGCONT)
    eventually(lambda: "troubles" not in readiness(gateway), seconds=60)
    assert web_workers(gateway) == [stopped, other]


def test_a_web_worker_that_is_killed_again_and_again_leaves_its_sibling_alone(gateway, key):
    stays = web_workers(gateway)[0]
    for _ in range(4):
        victim = eventually(lambda: [pid for pid in web_workers(gateway) if pid != stays], seconds=40)[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda victim=victim: victim not in gateway.processes(), seconds=10)
    with Calls(gateway, key) as calls:
        assert calls.go_on()
    assert calls.refused == []
    assert stays in web_workers(gateway)
    eventually(lambda: len(web_workers(gateway)) == 2, seconds=40)


class Redis:
    """A stand-in that takes connections and says nothing, as one does whose machine was stopped."""

    def __enter__(self) -> Redis:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        self.asked = 0
        self._taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()
        for one in self._taken:
            one.close()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._taken.append(self._socket.accept()[0])
                self.asked += 1


def dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_redis_that_hangs_costs_no_call_and_no_start(again, key):
    with Redis() as redis, again(REDIS_URL=redis.url) as gateway:
        assert "Redis that does not answer" in gateway.output
        with Calls(gateway, key) as calls:
            told = eventually(lambda: readiness(gateway).get("troubles"), seconds=30)
            assert told == ["the shared cache does not answer"]
            assert figures(gateway)['cogo_part_up{part="the shared cache"}'] == 0
            assert calls.go_on()
        assert calls.refused == []
        assert redis.asked


def test_a_redis_that_is_not_there_costs_no_call(again, key):
    with again(REDIS_URL=f"redis://127.0.0.1:{dead_port()}/0") as gateway:
        with Calls(gateway, key) as calls:
            assert eventually(lambda: readiness(gateway).get("troubles"), seconds=30) == ["the shared cache does not answer"]
            assert calls.go_on()
        assert calls.refused == []
