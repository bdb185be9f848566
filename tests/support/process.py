"""The gateway as a process of its own: what ``serve`` starts, over the test database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx


class Process:
    """``python -m cogo.web`` over the test database, or over ``url``; returns once ``/readyz`` says ``ready``."""

    def __init__(self, drain_s: int = 1, *, url: str = "", ready: int = 200) -> None:
        from django.db import connection

        name = connection.settings_dict["NAME"]
        ours = f"sqlite:///{name}" if connection.vendor == "sqlite" else os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
        self._wanted = ready
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        fd = self._socket.fileno()
        environment = {**os.environ, "DATABASE_URL": url or ours, "COGO_DRAIN_S": str(drain_s), "DJANGO_SETTINGS_MODULE": "cogo.settings"}
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
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False).status_code == self._wanted
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

    def memory_kb(self, field: str = "VmRSS") -> int:
        """Of /proc: ``VmRSS`` now, ``VmHWM`` at most so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field)))
