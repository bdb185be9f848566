"""Starts the gateway's processes, starts again what dies, and stops all of them in time.

Runs in the main thread of ``serve``. Every child has a process group of its own (a Ctrl-C on the terminal reaches only the supervisor),
is tied to this process (cogo.tether), and writes to a pipe read here: its lines are passed on, its last ones kept as the reason of an end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

HEALTHY_AFTER_S = 30.0
LONGEST_PAUSE_S = 30.0
LAST_CHANCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, as the arguments of ``python -m cogo.tether PID``.

    ``stage``: a lower one is stopped first and entirely. ``essential``: the supervisor gives up when it keeps ending. ``quiet``: its
    output is kept for the reason and not passed on.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    stage: int = 0
    essential: bool = False
    quiet: bool = False


class Child:
    """One program and its current process."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_again_at: float | None = None
        self.failures = 0
        self.on_trial = False  # its first end is its starter's business, not a reason to start it again
        self.tail: deque[str] = deque(maxlen=20)
        self.unfinished = b""

    def start(self, now: float) -> None:
        self.started_at, self.start_again_at = now, None
        self.process = subprocess.Popen(  # noqa: S603  # programs of our own
            [sys.executable, "-m", "cogo.tether", str(os.getpid()), *self.program.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.program.environment},
            pass_fds=self.program.descriptors,
            process_group=0,
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    @property
    def running(self) -> bool:
        return self.process is not None

    def send(self, number: int, *, group: bool = False) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                (os.killpg if group else os.kill)(self.process.pid, number)

    def reason(self) -> str:
        """The last line it wrote that says something: the one with the error, where a traceback ends."""
        return next((line for line in reversed(self.tail) if line.strip()), "it wrote nothing")


class Supervisor:
    """``with Supervisor(say) as supervisor: supervisor.start(program); ...; supervisor.run()``. Leaving the block stops everything."""

    def __init__(
        self, say: Callable[[str], None], *, stop_within_s: float = 9.0, give_up_after: int = 4, first_pause_s: float = 0.5
    ) -> None:
        self.say = say
        self.stop_within_s = stop_within_s
        self.give_up_after = give_up_after
        self.first_pause_s = first_pause_s
        self.children: list[Child] = []
        self.stop_signals = 0
        self.gave_up: str | None = None
        self._selector = selectors.DefaultSelector()
        self._handlers: dict[int, Any] = {}
        self._old_wakeup = -1

    def __enter__(self) -> Self:
        self._wake_out, self._wake_in = os.pipe()
        for end in (self._wake_out, self._wake_in):
            os.set_blocking(end, False)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._old_wakeup = signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, self._asked_to_stop)
        self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._selector.close()
        os.close(self._wake_out)
        os.close(self._wake_in)

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_signals += 1

    @property
    def stopping(self) -> bool:
        return self.stop_signals > 0 or self.gave_up is not None

    def start(self, program: Program, *, on_trial: bool = False) -> Child:
        child = Child(program)
        child.on_trial = on_trial
        self.children.append(child)
        self._launch(child)
        return child

    def drop(self, child: Child) -> None:
        """Ends a child for good."""
        child.send(signal.SIGKILL, group=True)
        while child.running:
            self._listen(0.05)
            self._ended(child)
        self.children.remove(child)

    def run(self) -> int:
        """Until told to stop. 0 when it was a signal, 1 when an essential program kept ending."""
        while not self.stopping:
            self.tick(60.0)
        return 1 if self.gave_up is not None else 0

    def tick(self, seconds: float) -> None:
        """Passes on output, sees ends, starts again what is due; returns after the first event or ``seconds``."""
        now = time.monotonic()
        due = [child.start_again_at for child in self.children if child.start_again_at is not None]
        self._listen(max(0.0, min([seconds, *(moment - now for moment in due)])))
        now = time.monotonic()
        for child in self.children:
            if self._ended(child) and not self.stopping:
                self._plan_restart(child, now)
            elif child.start_again_at is not None and child.start_again_at <= now and not self.stopping:
                self._launch(child)

    def stop(self) -> None:
        """Stage by stage: SIGTERM, then SIGKILL to the whole group at the deadline. Another signal from the operator shortens it."""
        deadline = time.monotonic() + self.stop_within_s
        signals_seen = self.stop_signals
        stages = sorted({child.program.stage for child in self.children})
        for index, stage in enumerate(stages):
            members = [child for child in self.children if child.program.stage == stage]
            # The last stages keep a second each.
            stage_deadline = deadline - (len(stages) - index - 1)
            for child in members:
                child.start_again_at = None
                child.send(signal.SIGTERM)
            while any(child.running for child in members):
                now = time.monotonic()
                if self.stop_signals > max(1, signals_seen):
                    signals_seen = self.stop_signals
                    deadline = stage_deadline = min(stage_deadline, now + LAST_CHANCE_S)
                    for child in members:
                        child.send(signal.SIGTERM)
                if now >= stage_deadline:
                    for child in members:
                        child.send(signal.SIGKILL, group=True)
                self._listen(min(0.25, max(0.01, stage_deadline - now)))
                for child in members:
                    self._ended(child)

    def _launch(self, child: Child) -> None:
        child.start(time.monotonic())
        assert child.process is not None
        assert child.process.stdout is not None
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _plan_restart(self, child: Child, now: float) -> None:
        if child.on_trial:
            return
        child.failures = 1 if now - child.started_at >= HEALTHY_AFTER_S else child.failures + 1
        if child.program.essential and child.failures >= self.give_up_after:
            self.gave_up = f"{child.program.name} ended {child.failures} times in a row; the last time it said: {child.reason()}"
            return
        pause = min(LONGEST_PAUSE_S, self.first_pause_s * 2 ** (child.failures - 1))
        child.start_again_at = now + pause
        self.say(f"{child.program.name} ended unexpectedly ({child.reason()}); starting it again in {pause:g} s")

    def _ended(self, child: Child) -> bool:
        if child.process is None or child.process.poll() is None:
            return False
        child.send(signal.SIGKILL, group=True)  # whatever it forked and left behind
        assert child.process.stdout is not None
        while self._read(child):
            pass
        if child.process.stdout in self._selector.get_map():
            self._selector.unregister(child.process.stdout)
        child.process.stdout.close()
        child.process = None
        return True

    def _listen(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if not isinstance(key.data, Child):
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_out, 4096)
            elif not self._read(key.data):
                self._selector.unregister(key.fileobj)

    def _read(self, child: Child) -> bool:
        """Takes what the child wrote; false at the end of its output."""
        assert child.process is not None
        assert child.process.stdout is not None
        try:
            chunk = os.read(child.process.stdout.fileno(), 65536)
        except BlockingIOError:
            return child.process.returncode is None
        *lines, child.unfinished = (child.unfinished + chunk).split(b"\n")
        if not chunk and child.unfinished:
            lines, child.unfinished = [child.unfinished], b""
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            child.tail.append(text)
            if not child.program.quiet or text.startswith("cogo: "):
                sys.stderr.write(text + "\n")
        sys.stderr.flush()
        return bool(chunk)
