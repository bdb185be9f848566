"""The bench itself: what it counts, and what it leaves out."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httptools
import pytest

from .callers import Line, Load, closely, share
from .contenders import Contender
from .peers import present
from .processes import NotReady, Program, cpu_s, memory_mb
from .rounds import Board

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@contextmanager
def answering(*statuses: int) -> Iterator[int]:
    """The port of a server that answers POSTs with these, the last one for ever."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def asking(port: int) -> bytes:
    return f"POST / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\n\r\n".encode()


def test_callers_count_answers_and_times_until_the_time_is_over():
    with answering(200) as port:
        load = closely(port, asking(port), 3, 0.2)
    assert load.bad == 0
    assert len(load.took) > 3
    assert all(0 < one < 5 for one in load.took)


def test_an_answer_that_is_not_200_is_bad_and_ends_its_caller():
    with answering(200, 200, 503) as port:
        load = closely(port, asking(port), 2, 30)
    assert (len(load.took), load.bad) == (4, 2)


@pytest.mark.parametrize("size", range(1, 12))
def test_an_event_is_counted_once_wherever_the_network_cut_it(size: int):
    load = Load()
    line = Line(load)
    stream = HEAD + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (b"data: a\n\n", b"da", b"ta: b\n\ndata: [DONE]\n\n"))
    line._parser = httptools.HttpResponseParser(line)
    for at in range(0, len(stream), size):
        line.data_received(stream[at : at + size])
    assert (load.events, len(load.first), load.bad) == (3, 1, 0)


def test_a_round_with_a_refusal_is_discarded_for_that_contender_alone():
    board = Board()
    for gateway, bare, bad in ((100.0, 10.0, 0), (900.0, 10.0, 1), (120.0, 10.0, 0)):
        board.note("gateway", "load", {"per_core": gateway}, bad)
        board.note("bare", "load", {"per_core": bare}, 0)
    assert board.of("gateway", "load", "per_core") == 110.0
    assert board.of("bare", "load", "per_core") == 10.0
    assert board.ratios("gateway", "bare", "load", "per_core") == [10.0, 12.0]
    assert (board.discarded["gateway", "load"], board.discarded["bare", "load"]) == (1, 0)
    assert math.isnan(board.of("nobody", "load", "per_core"))


def test_the_processor_time_of_children_counts():
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    parent = (
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {burn + chr(10) + 'time.sleep(20)'!r}])\ntime.sleep(20)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 20
            while cpu_s(process.pid) < 0.3:
                assert time.monotonic() < deadline, cpu_s(process.pid)
                time.sleep(0.05)
            assert memory_mb(process.pid) > 1
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_program_that_ends_says_its_last_words(tmp_path: Path):
    with pytest.raises(NotReady, match="no such luck"):
        Program([sys.executable, "-c", "raise SystemExit('no such luck')"], log=tmp_path / "log", env={}, cwd=tmp_path)


def test_peers_that_are_not_installed_are_named_and_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    said: list[str] = []
    ground: Any = None
    monkeypatch.setenv("COGO_PEERS_DIR", str(tmp_path))
    assert list(present(ground, ("litellm", "portkey", "tensorzero"), (), said.append)) == []
    assert len(said) == 3
    monkeypatch.delenv("COGO_PEERS_DIR")
    found: list[Contender] = list(present(ground, ("litellm",), (), said.append))
    assert (found, len(said)) == ([], 3)


def test_a_percentile_of_nothing_is_no_number():
    assert share([3.0, 1.0, 2.0], 0.5) == 2.0
    assert share([3.0, 1.0, 2.0], 0.99) == 3.0
    assert math.isnan(share([], 0.5))
