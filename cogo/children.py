"""One program of ``serve`` and its current process.

Every child has a process group of its own (a Ctrl-C on the terminal reaches only the supervisor),
is tied to this process (cogo.tether), and writes to a pipe: its lines are passed on, its last ones
kept as the reason of an end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llm_gateway.telemetry.processes import DOWN, UP, Process

from .restarts import Pulse, Verdict, judged, worse


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, as the arguments of ``python -m cogo.tether PID``.

    ``stage``: a lower one is stopped first and entirely. ``essential``: a start without it is given
    up when it keeps ending, as long as the gateway has not been ready once. ``quiet``: its output
    is kept for the reason and not passed on. ``niceness``: how far it stands back for the others
    when the processor is short. ``silent_for_s``: how long it may go without a sign of life, from
    its start on, before it is ended; ``None`` for the supervisor's own measure, which begins with
    the first sign.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    stage: int = 0
    essential: bool = False
    quiet: bool = False
    niceness: int = 0
    silent_for_s: float | None = None


class Child:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_again_at: float | None = None
        self.failures = 0
        self.restarts = 0
        self.state = DOWN
        self.pid = 0
        self.pulse, self.halt = Pulse(), Pulse()
        self.on_trial = False  # its first end is its starter's business, not a reason to start it again
        self.last_words = ""
        self.tail: deque[str] = deque(maxlen=20)
        self.unfinished = b""

    def start(self, now: float) -> None:
        """Raises OSError when the machine has no room for another process."""
        self.started_at, self.start_again_at = now, None
        self.tail.clear()
        self.process = subprocess.Popen(  # noqa: S603  # programs of our own
            [sys.executable, "-m", "cogo.tether", str(os.getpid()), *self.program.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "COGO_SUPERVISED": "1",
                "COGO_NICENESS": str(self.program.niceness),
                **self.program.environment,
            },
            pass_fds=self.program.descriptors,
            process_group=0,
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self.pid, self.state = self.process.pid, UP
        self.pulse, self.halt = Pulse(), Pulse()

    @property
    def running(self) -> bool:
        return self.process is not None

    def send(self, number: int, *, group: bool = False) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                (os.killpg if group else os.kill)(self.process.pid, number)

    def judged(self, now: float, run: Path | None, hangs_after_s: float, ended_after_s: float) -> Verdict:
        """What follows from its silence, where it gives signs of life, or from a signal that
        stopped it."""
        if self.process is None:
            return "up"
        halted = judged(self.halt.look(now, None, stopped=_stopped(self.pid)), hangs_after_s, ended_after_s)
        own = self.program.silent_for_s
        beat = None if run is None else _changed(run / f"{self.pid}.beat")
        if beat is None and own is not None and run is not None:
            beat = 0.0  # none since its start
        silent_s = self.pulse.look(now, beat, stopped=False)
        silent = judged(silent_s, *((hangs_after_s, ended_after_s) if own is None else (own / 2, own)))
        return worse(halted, silent)

    def reason(self) -> str:
        """The last line it wrote that says something: the one with the error, where a traceback
        ends."""
        return next((line for line in reversed(self.tail) if line.strip()), "it wrote nothing")

    def told(self) -> Process:
        return Process(name=self.program.name, state=self.state, restarts=self.restarts, reason=self.last_words)

    def end(self) -> int:
        """Takes leave of a process that ended; returns its exit status."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.send(signal.SIGKILL, group=True)  # whatever it forked and left behind
        self.process.stdout.close()
        status = self.process.wait()
        self.process, self.state = None, DOWN
        return status


def _changed(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def _stopped(pid: int) -> bool:
    """Whether a signal stopped it (a debugger that holds it is another thing). Known on Linux
    only."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"
    except (OSError, IndexError):
        return False
