"""Starts the gateway's processes, starts again what dies or hangs, and stops all of them in time.

Runs in the main thread of ``serve``. Once the gateway has been ready, a child's end never ends
another child: the supervisor restarts it for ever, with growing pauses (cogo.restarts). It
publishes every child's state for the workers to report (llm_gateway.telemetry.processes).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self

from llm_gateway.core.redact import redact
from llm_gateway.telemetry import processes

from . import restarts
from .children import Child, Program

__all__ = ["Child", "Program", "Supervisor"]

LAST_CHANCE_S = 2.0
LOOK_EVERY_S = 2.0


class Supervisor:
    """``with Supervisor(say) as supervisor: supervisor.start(program); ...; supervisor.run()``.
    Leaving the block stops everything.

    ``run_folder``: where it publishes the state of its children, and where they leave their
    heartbeats.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        stop_within_s: float = 9.0,
        give_up_after: int = 4,
        first_pause_s: float = restarts.FIRST_PAUSE_S,
        run_folder: Path | None = None,
        hangs_after_s: float = restarts.HANGS_AFTER_S,
        ended_after_s: float = restarts.ENDED_AFTER_S,
    ) -> None:
        self.say = say
        self.stop_within_s = stop_within_s
        self.give_up_after = give_up_after
        self.first_pause_s = first_pause_s
        self.run_folder = run_folder
        self.hangs_after_s = hangs_after_s
        self.ended_after_s = ended_after_s
        # From then on a child's end is no reason to stop.
        self.has_been_ready = False
        self.children: list[Child] = []
        self.stop_signals = 0
        self.gave_up: str | None = None
        self._selector = selectors.DefaultSelector()
        self._handlers: dict[int, Any] = {}
        self._old_wakeup = -1
        self._look_at = self._publish_at = 0.0
        self._published: tuple[processes.Process, ...] = ()

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
        """Stop a child for good."""
        child.send(signal.SIGKILL, group=True)
        while child.running:
            self._listen(0.05)
            self._ended(child)
        self.children.remove(child)

    def run(self) -> int:
        """Until told to stop. 0 when it was a signal, 1 when essential programs kept ending before
        the gateway was ready once."""
        while not self.stopping:
            self.tick(60.0)
        return 1 if self.gave_up is not None else 0

    def tick(self, seconds: float) -> None:
        """Pass on output, notice ends and silence, restart what is due; returns after the first
        event or ``seconds``."""
        now = time.monotonic()
        due = [child.start_again_at for child in self.children if child.start_again_at is not None]
        self._listen(max(0.0, min([seconds, LOOK_EVERY_S, *(moment - now for moment in due)])))
        now = time.monotonic()
        for child in self.children:
            if self._ended(child) and not self.stopping:
                self._plan_restart(child, now)
            elif child.start_again_at is not None and child.start_again_at <= now and not self.stopping:
                self._start_again(child, now)
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S / 2
            self._look_for_silence(now)
        self._publish(now)

    def stop(self) -> None:
        """Stage by stage: SIGTERM, then SIGKILL to the whole group at the deadline. Another signal
        from the operator shortens it."""
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

    def _start_again(self, child: Child, now: float) -> None:
        child.restarts += 1
        try:
            self._launch(child)
        except OSError as error:
            child.started_at, child.last_words = now, f"it could not be started ({error.strerror})"
            self._pause(child, now)

    def _plan_restart(self, child: Child, now: float) -> None:
        if child.on_trial:
            return
        child.last_words = redact(child.reason(), limit=300)
        self._pause(child, now)

    def _pause(self, child: Child, now: float) -> None:
        child.failures = restarts.failures(child.failures, now - child.started_at)
        if self._start_failed():
            self.gave_up = f"{child.program.name} ended {child.failures} times in a row; the last time it said: {child.last_words}"
            return
        pause = restarts.pause_s(child.failures, self.first_pause_s)
        child.start_again_at = now + pause
        self.say(f"{child.program.name} ended unexpectedly ({child.last_words}); starting it again in {pause:g} s")

    def _start_failed(self) -> bool:
        """A start is given up when none of the essential programs stays; a gateway that has been
        ready never is."""
        essential = [child for child in self.children if child.program.essential]
        return not self.has_been_ready and bool(essential) and all(child.failures >= self.give_up_after for child in essential)

    def _look_for_silence(self, now: float) -> None:
        for child in self.children:
            if not child.running or self.stopping:
                continue
            verdict = child.judged(now, self.run_folder, self.hangs_after_s, self.ended_after_s)
            if verdict == "end":
                self.say(f"{child.program.name} has given no sign of life for too long; it is ended and started again")
                child.tail.append("it hung and was ended")
                child.send(signal.SIGKILL, group=True)
            elif verdict != child.state:
                child.state = verdict

    def _publish(self, now: float) -> None:
        if self.run_folder is None:
            return
        found = tuple(child.told() for child in self.children)
        if found != self._published or now >= self._publish_at:
            self._published, self._publish_at = found, now + processes.WRITTEN_EVERY_S
            processes.publish(self.run_folder, found)

    def _ended(self, child: Child) -> bool:
        if child.process is None or child.process.poll() is None:
            return False
        assert child.process.stdout is not None
        while self._read(child):
            pass
        if child.process.stdout in self._selector.get_map():
            self._selector.unregister(child.process.stdout)
        status = child.end()
        if status < 0 and not any(line.strip() for line in child.tail):
            child.tail.append(f"{signal.Signals(-status).name} ended it")
        if self.run_folder is not None:
            with contextlib.suppress(OSError):
                (self.run_folder / f"{child.pid}.beat").unlink()
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
