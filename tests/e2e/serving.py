"""The whole gateway as a program: ``manage.py serve`` on a free port in a folder of its own, its output, and every process it started."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from cogo.preflight import free_port
from tests.support import template

ROOT = Path(__file__).resolve().parents[2]
CLIENT_KEY = re.compile(r"cogo_[0-9A-Za-z]+_[0-9A-Za-z]+_[0-9A-Za-z]{6}")


class Served:
    """``with Served(folder, "--simulate") as gateway:`` — entered when it says it runs, left when it and its processes are gone.
    ``empty``: it finds no database and migrates one, as at its first start."""

    def __init__(self, folder: Path, *arguments: str, patience_s: float = 60.0, empty: bool = False, **environment: str) -> None:
        self.folder = folder
        self._patience_s = patience_s
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        self.ready_after_s = 0.0
        # The lane's database is the test runner's own; this program gets one in its folder.
        outer = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        self._environment = {**outer, "COGO_VAR_DIR": str(folder / "var"), **environment}
        self._var = Path(self._environment["COGO_VAR_DIR"])
        self._empty = empty
        self._command = [sys.executable, "manage.py", "serve", "--port", str(self.port), *arguments]
        self._running = threading.Event()

    def __enter__(self) -> Self:
        if not self._empty and "DATABASE_URL" not in self._environment and not (self._var / "db.sqlite3").exists():
            template.seed(self._var / "db.sqlite3")
        began = time.monotonic()
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._collect, daemon=True).start()
        while not self._running.wait(0.05):
            assert self.process.poll() is None, self.output
            assert time.monotonic() - began < self._patience_s, self.output
        self.ready_after_s = time.monotonic() - began
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
        self.process.kill()
        self.process.wait()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line.rstrip())
                if "Ctrl-C stops everything" in line:
                    self._running.set()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def key(self) -> str:
        found = CLIENT_KEY.search(self.output)
        assert found, self.output
        return found[0]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def processes(self) -> dict[int, str]:
        """Every descendant and its command line."""
        parents = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(ValueError, OSError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        family, size = {self.process.pid}, 0
        while len(family) != size:
            size = len(family)
            family |= {pid for pid, parent in parents.items() if parent in family}
        return {pid: _command_line(pid) for pid in family - {self.process.pid}}

    def pid_of(self, word: str) -> int:
        return next(pid for pid, line in sorted(self.processes().items()) if word in line)

    def stop(self, number: int = signal.SIGINT) -> float:
        """Seconds until it ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(20)
        return time.monotonic() - began


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def left(folder: Path) -> dict[int, str]:
    """Every process on the machine that was started for the gateway in ``folder``, whoever its parent is now."""
    mark = f"COGO_VAR_DIR={folder / 'var'}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = _command_line(int(entry.name))
    return found


def eventually(condition, seconds: float = 10.0, shown=str):
    """The first true result of ``condition``. ``shown``: gives what to say where it stays away."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"it did not happen in time {shown()}"
        time.sleep(0.05)
    return result
