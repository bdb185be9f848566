"""The state of the processes of one ``serve``: the supervisor writes it to a file, every worker
reads and reports it."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import msgspec

FILE = "processes.json"
# A supervisor writes at least this often; after four times as long without a write it counts as
# dead.
WRITTEN_EVERY_S = 5.0

UP, DOWN, HANGING = "up", "down", "hanging"


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """``restarts`` since ``serve`` began; ``reason``: the last line of the process that ended, for
    operators only."""

    name: str
    state: str
    restarts: int = 0
    reason: str = ""


class Board(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    supervisor: int
    processes: tuple[Process, ...] = ()

    @property
    def troubles(self) -> tuple[str, ...]:
        """A clause for each process that is not running properly. Names and counts only, because
        readiness is public."""
        clauses = [_trouble(process) for process in self.processes if process.state != UP]
        if time.time() - self.at > 4 * WRITTEN_EVERY_S:
            clauses.append("the supervisor of these processes does not answer")
        return tuple(clauses)


def _trouble(process: Process) -> str:
    what = "is down and will be started again" if process.state == DOWN else "does not answer"
    times = "" if not process.restarts else f" (restarted {process.restarts} time{'s' if process.restarts > 1 else ''})"
    return f"{process.name} {what}{times}"


def folder(var: Path | str) -> Path:
    """Where the processes of an installation leave notes for each other."""
    return Path(var) / "run"


def publish(run: Path, processes: tuple[Process, ...]) -> None:
    """Replace the file as a whole. A full disk costs the note, never a request."""
    board = Board(at=time.time(), supervisor=os.getpid(), processes=processes)
    draft = run / f".{FILE}.{os.getpid()}"
    with contextlib.suppress(OSError):
        draft.write_bytes(msgspec.json.encode(board))
        draft.replace(run / FILE)


def read(run: Path) -> Board | None:
    """``None`` without a supervisor: each process was started by itself and does not know the
    others."""
    try:
        board = msgspec.json.decode((run / FILE).read_bytes(), type=Board)
    except (OSError, msgspec.DecodeError):
        return None
    return board if _lives(board.supervisor) else None


def beat(run: Path) -> None:
    """A heartbeat: once a second from a running event loop, after each task from the task cluster.
    Forked children share their parent's group."""
    file = run / f"{os.getpgrp()}.beat"
    with contextlib.suppress(OSError):
        file.touch(mode=0o600)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
