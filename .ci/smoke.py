"""``python .ci/smoke.py CHECKOUT [PYTHON]``: a stranger with make and curl in a fresh clone. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

PROMPT = "Write a Python function that adds two numbers."


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def fail(text: str) -> NoReturn:
    sys.exit(f"smoke: {text}")


class Made:
    """``make TARGET`` in a session of its own, as on a terminal: Ctrl-C goes to make and everything in its group."""

    def __init__(self, checkout: Path, target: str, python: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.lines: list[str] = []
        self.began = time.monotonic()
        command = ["make", target, f"PORT={self.port}", *([f"PYTHON={python}"] if python else [])]
        self.process = subprocess.Popen(
            command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.running = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        while not self.running.wait(0.1):
            if self.process.poll() is not None or time.monotonic() - self.began > 600:
                fail(f"make {target} did not come up:\n" + "\n".join(self.lines))
        say(f"make {target}: up after {time.monotonic() - self.began:.1f} s")

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if "Ctrl-C stops everything" in line:
                self.running.set()

    @property
    def curl(self) -> list[str]:
        return shlex.split(next(line for line in self.lines if line.strip().startswith("curl http://127.0.0.1:" + str(self.port))))

    @property
    def key(self) -> str:
        return re.findall(r"cogo_\w+", "\n".join(self.lines))[0]

    def call(self, path: str, body: dict[str, object] | None = None) -> list[str]:
        line = [
            "curl",
            "-sS",
            "--max-time",
            "240",
            "-H",
            f"Authorization: Bearer {self.key}",
            f"http://127.0.0.1:{self.port}/api/ai-models/{path}",
        ]
        return [*line, "-H", "Content-Type: application/json", "-d", json.dumps(body)] if body is not None else line

    def family(self) -> dict[int, str]:
        parents = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(ValueError, OSError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        family, size = {self.process.pid}, 0
        while len(family) != size:
            size = len(family)
            family |= {pid for pid, parent in parents.items() if parent in family}
        return {pid: command_line(pid) for pid in family}

    def stop(self) -> None:
        family = self.family()
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(20)
        took = time.monotonic() - began
        left = {pid: line for pid, line in family.items() if line and command_line(pid) == line}
        if took > 10 or left:
            fail(f"stopping took {took:.1f} s and left {left}")
        say(f"  stopped {len(family)} processes in {took:.1f} s, none left")


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def ask(command: list[str]) -> dict[str, object]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        fail(f"{' '.join(command[:3])} … answered {done.stdout[:500]!r} {done.stderr[:200]!r}")
    assert isinstance(answer, dict)
    return answer


def stream(made: Made) -> None:
    """Deltas must come one by one: as many moments as there are pieces, or nearly."""
    command = [*made.call("generate", {"prompt": PROMPT, "stream": True}), "-N"]
    moments, names, name = [], [], ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout is not None
        for line in curl.stdout:
            if line.startswith("event: "):
                name = line.removeprefix("event: ").strip()
                names.append(name)
            elif line.startswith("data: ") and name == "delta":
                moments.append(time.monotonic())
    spread = moments[-1] - moments[0] if moments else 0.0
    if names[:1] != ["start"] or names[-1:] != ["done"] or len(moments) < 5 or spread < 0.05:
        fail(f"the stream was {names[:3]} … {names[-2:]} with {len(moments)} pieces over {spread:.3f} s")
    say(f"  stream: {len(moments)} pieces over {spread:.2f} s, the first gap {1000 * (moments[1] - moments[0]):.0f} ms")


def main() -> None:
    checkout, python = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    made = Made(checkout, "run", python)
    answer = ask(["curl", "-sS", "--max-time", "240", *made.curl[1:]])
    if not answer.get("content"):
        fail(f"the printed curl line answered {answer}")
    say(f"  the printed curl line: {answer['model']} of {answer['provider']}, {answer['usage']}")
    stream(made)
    analysis = ask(made.call("analyze", {"code": "def f(x):\n    return eval(x)\n", "analysis_type": "security"}))
    if "analysis" not in analysis and "error" not in analysis:
        fail(f"analyze answered {analysis}")
    say(f"  analyze: {'findings' if 'analysis' in analysis else analysis['error']}")
    made.stop()

    again = Made(checkout, "run", python)
    if any("One-time password" in line for line in again.lines):
        fail("the second start showed a password")
    again.stop()

    demo = Made(checkout, "demo", python)
    status: dict[str, object] = {}
    for _ in range(60):
        status = ask(demo.call("keys/status"))
        if status.get("overall_status") == "all_valid":
            break
        time.sleep(0.5)
    else:
        fail(f"make demo: keys/status is {status}")
    say("  keys/status: all_valid")
    stream(demo)
    analysis = ask(demo.call("analyze", {"code": "def f(x):\n    return eval(x)\n", "analysis_type": "security"}))
    if "analysis" not in analysis:
        fail(f"make demo: analyze answered {analysis}")
    demo.stop()


if __name__ == "__main__":
    main()
