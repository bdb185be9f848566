"""Shutdown (T3): a real process is told to stop, ends its streams itself, settles them, and exits 0 in time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from llm_gateway.simulator import ThreadedSimulator
from tests.support.books import unbalanced
from tests.support.raw import connected, generation, rest, until
from tests.support.rows import Rows
from tests.support.speaking import events_of

DRAIN_S = 1


class Process:
    """``python -m cogo.web`` over the test database."""

    def __init__(self) -> None:
        from django.db import connection

        name = connection.settings_dict["NAME"]
        url = f"sqlite:///{name}" if connection.vendor == "sqlite" else os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        fd = self._socket.fileno()
        environment = {**os.environ, "DATABASE_URL": url, "COGO_DRAIN_S": str(DRAIN_S), "DJANGO_SETTINGS_MODULE": "cogo.settings"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cogo.web", "--fd", str(fd)], pass_fds=(fd,), env=environment, stderr=subprocess.PIPE, text=True
        )
        self._socket.close()
        deadline = time.monotonic() + 30
        while not self._ready():
            assert self.process.poll() is None, self.process.stderr.read()  # type: ignore[union-attr]
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def told(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, within: float) -> int:
        try:
            return self.process.wait(within)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process.stderr.close()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def rows(test_database: None, django_db_blocker: Any) -> Iterator[Rows]:
    with django_db_blocker.unblock(), ThreadedSimulator(latency_ms=0, chunk_ms=0, seed=1) as simulator:
        rows = Rows(simulator)
        rows.fill()
        try:
            yield rows
        finally:
            rows.empty()


@pytest.fixture
def process(rows: Rows) -> Iterator[Process]:
    process = Process()
    yield process
    if process.process.poll() is None:
        process.ended(0.1)
    assert not unbalanced()


@pytest.mark.slow
def test_streams_end_with_an_error_event_and_are_settled(process: Process, rows: Rows) -> None:
    from llm_gateway.models import RequestLog

    with ExitStack() as stack:
        streams = [
            stack.enter_context(connected(process.port, generation(dialect, rows.key, f"{slug}/fault:stall@2", stream=True)))
            for dialect, slug in (("openai_chat", "chat"), ("anthropic_messages", "claude"), ("gemini_generate", "gem"), ("native", "chat"))
        ]
        whole = stack.enter_context(connected(process.port, generation("openai_chat", rows.key, "chat/fault:silent")))
        half = stack.enter_context(connected(process.port, generation("openai_chat", rows.key, "chat/x")[:-3]))
        idle = stack.enter_context(connected(process.port))
        stuck = stack.enter_context(
            connected(process.port, generation("openai_chat", rows.key, "chat/fault:hugebody:8", stream=True), receive_buffer=4096)
        )
        begun = [until(peer, b"data:") for peer in streams]
        until(stuck, b"data:")
        time.sleep(0.3)
        began = time.monotonic()
        process.told(signal.SIGTERM)
        answers = [first + rest(peer, 8) for first, peer in zip(begun, streams, strict=True)]
        assert time.monotonic() - began < DRAIN_S + 2
        for answer in answers:
            body = b"".join(part.partition(b"\r\n")[2] for part in [answer.partition(b"\r\n\r\n")[2]])
            assert b"server_shutting_down" in body.lower() or b"shutting down" in body, body[-400:]
            assert b"[DONE]" not in body
            assert b"message_stop" not in body
            assert answer.endswith(b"0\r\n\r\n"), "the response itself ends cleanly"
        assert b"503" in rest(whole, 5)[:20]
        assert b"503" in rest(half, 5)[:20]
        assert rest(idle, 5) == b""
        code = process.ended(DRAIN_S + 2)
        assert code == 0
    states = dict(RequestLog.objects.order_by("id").values_list("asked_model", "state"))
    assert states["chat/fault:stall@2"] == states["claude/fault:stall@2"] == states["gem/fault:stall@2"] == "partial"
    assert states["chat/fault:silent"] == "failed"
    assert not RequestLog.objects.filter(state="open").exists()
    assert events_of(answers[0])


@pytest.mark.slow
def test_a_stream_that_ends_in_time_is_whole(process: Process, rows: Rows) -> None:
    with connected(process.port, generation("openai_chat", rows.key, "chat/fault:slow:600", stream=True)) as peer:
        time.sleep(0.2)
        process.told(signal.SIGTERM)
        answer = rest(peer, 5)
    assert b"[DONE]" in answer
    assert b"shutting" not in answer
    assert process.ended(DRAIN_S + 2) == 0


@pytest.mark.slow
def test_a_second_signal_ends_streams_at_once(process: Process, rows: Rows) -> None:
    with connected(process.port, generation("openai_chat", rows.key, "chat/fault:stall@2", stream=True)) as peer:
        until(peer, b"data:")
        process.told(signal.SIGINT)
        time.sleep(0.2)
        began = time.monotonic()
        process.told(signal.SIGINT)
        answer = rest(peer, 5)
        assert time.monotonic() - began < 0.6
    assert b"server_shutting_down" in answer
    assert process.ended(2) == 0
