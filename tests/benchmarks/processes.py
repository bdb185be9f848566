"""Programs under measurement: started on a socket of ours, pinned, read through /proc, and ended with everything they started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

READY_WITHIN_S = 90.0


class NotReady(RuntimeError):
    """A program ended, or did not answer in time; its last words are the message."""


class Program:
    """A command that answers HTTP on ``port``; entered when it does. ``{fd}`` in the command becomes the descriptor of a listening socket;
    without it the program binds ``port`` itself, or one that it tells by and by. Its output goes to ``log``."""

    def __init__(
        self, command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path, ready: str = "/",
        port: int | Callable[[], int] = 0,
    ) -> None:  # fmt: skip
        self._log = log
        descriptors: tuple[int, ...] = ()
        listening = None
        if any("{fd}" in word for word in command):
            listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
            port, descriptors = int(listening.getsockname()[1]), (listening.fileno(),)
            command = [word.format(fd=listening.fileno()) for word in command]
        self._tell = port if callable(port) else lambda: port
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command, cwd=cwd, env=dict(env), stdout=out, stderr=out, pass_fds=descriptors, start_new_session=True
            )
        if listening is not None:
            listening.close()
        self.pid = self._process.pid
        try:
            self._await(ready)
        except BaseException:
            self.stop()
            raise

    @property
    def port(self) -> int:
        return self._tell()

    def _await(self, path: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        # Without a proxy, whatever the environment says.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=2).close()
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 503:
                    return
            except OSError:
                pass
            else:
                return
            time.sleep(0.1)
        raise NotReady(f"{self._process.args!r}: {self._log.read_text(errors='replace')[-800:]}")

    def stop(self) -> None:
        """Politely, then its whole session."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for task in _listed(Path(f"/proc/{pid}/task")):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    return found


def cpu_s(pid: int) -> float:
    """Seconds that the threads of a process tree have run, to the nanosecond (``/proc/PID/stat`` counts in hundredths)."""
    total = 0
    for one in tree(pid):
        for task in _listed(Path(f"/proc/{one}/task")):
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory_mb(pid: int) -> float:
    """The tree's proportional share of the memory it uses."""
    kb = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kb / 1024


def pin(pid: int, cores: set[int]) -> None:
    """Keep all threads of a tree on these cores."""
    for one in tree(pid):
        for task in _listed(Path(f"/proc/{one}/task")):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), cores)


def cores() -> tuple[set[int], set[int]]:
    """(for what is measured, for those who measure): one of their own each, where there are two."""
    have = sorted(os.sched_getaffinity(0))
    return ({have[-1]}, set(have[:-1])) if len(have) > 1 else (set(have), set(have))


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
