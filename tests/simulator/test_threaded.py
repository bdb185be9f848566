"""The simulator without a loop at hand: in a thread, and as a program."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from llm_gateway.simulator import ThreadedSimulator
from tests.support.clock import Stopwatch

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from llm_gateway.simulator import run
run(port=0, latency_ms=0, ready=lambda sim: (sys.stdout.write(f"{sim.port}\\n"), sys.stdout.flush()))
"""


def test_it_serves_from_its_own_thread() -> None:
    with ThreadedSimulator(latency_ms=0, chunk_ms=0) as sim:
        asked = urllib.request.Request(sim.base_url("openai") + "/models", headers={"authorization": "Bearer sim-valid"})
        with urllib.request.urlopen(asked) as answer:
            assert answer.status == 200
        assert sim.journal[-1]["path"] == "/openai/v1/models"
        sim.control("personality/openai", state="overloaded")
        assert sim.simulator.state.personalities["openai"].state == "overloaded"
        port = sim.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_a_taken_port_is_told_to_the_caller() -> None:
    with ThreadedSimulator(latency_ms=0) as sim, pytest.raises(OSError, match=r"."):
        ThreadedSimulator(port=sim.port).start()


def test_base_urls_are_what_provider_rows_hold() -> None:
    sim = ThreadedSimulator(port=81)
    urls = {name: sim.base_url(name) for name in ("openai", "anthropic", "gemini", "fireworks", "custom")}
    root = "http://127.0.0.1:81"
    assert urls == {
        "openai": f"{root}/openai/v1",
        "anthropic": f"{root}/anthropic",
        "gemini": f"{root}/gemini/v1beta",
        "fireworks": f"{root}/fireworks/inference/v1",
        "custom": f"{root}/custom/v1",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_stops_within_a_second_of_a_signal_even_with_a_hanging_call(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        port = int(program.stdout.readline())
        body = b'{"model":"fault:stall@1","messages":[{"role":"user","content":"hi"}],"stream":true}'
        with socket.create_connection(("127.0.0.1", port), 2) as hanging:
            top = f"POST /custom/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            hanging.sendall(top.encode() + body)
            assert hanging.recv(15) == b"HTTP/1.1 200 OK"
            watch = Stopwatch()
            program.send_signal(number)
            assert program.wait(5) == 0
            assert watch.took_s < 1
        assert program.stderr is not None
        assert program.stderr.read() == ""
