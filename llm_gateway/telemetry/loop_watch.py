"""Watches the event loop from a thread and logs the stack of whatever blocks it, while it blocks
(P20)."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from types import FrameType

log = logging.getLogger("cogo.loop")

LIMIT_S = 0.25
BEAT_S = 0.1
FRAMES = 15


class LoopWatch:
    """:meth:`start` on the loop to watch, :meth:`stop` before it ends. Costs ten timers and ten
    wake-ups a second.

    One line per block when it has lasted ``limit_s``, one when it is over. A stack names files,
    lines and functions, never values. If the whole process stood still (a stopped machine, a long
    call that keeps the interpreter's lock), the line names no culprit."""

    def __init__(self, limit_s: float = LIMIT_S, beat_s: float = BEAT_S) -> None:
        self._limit_s = limit_s
        self._beat_s = beat_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop watch", daemon=True)
        self._beaten = 0.0
        self._watched = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._watched = threading.get_ident()
        self._beat(asyncio.get_running_loop())
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread.is_alive():
            self._thread.join(1)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beaten = time.monotonic()
        self._timer = loop.call_later(self._beat_s, self._beat, loop)

    def _run(self) -> None:
        looked = time.monotonic()
        reported_at = 0.0
        while not self._stopped.wait(self._beat_s):
            now, before, beaten = time.monotonic(), looked, self._beaten
            looked = now
            if reported_at and beaten > reported_at:
                log.warning("the event loop goes on", extra={"blocked_ms": round((beaten - reported_at - self._beat_s) * 1000)})
                reported_at = 0.0
            late = now - beaten - self._beat_s
            if reported_at or late < self._limit_s or now - before > self._beat_s + self._limit_s:
                continue
            frame = sys._current_frames().get(self._watched)
            if frame is not None:
                reported_at = beaten
                log.warning("the event loop is blocked", extra={"blocked_ms": round(late * 1000), "stack": _stack(frame)})


def _stack(frame: FrameType) -> list[str]:
    """Innermost last."""
    return [f"{at.filename}:{at.lineno} {at.name}" for at in traceback.extract_stack(frame)[-FRAMES:]]
