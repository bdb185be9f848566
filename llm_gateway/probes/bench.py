"""The child that runs tools, as its owner sees it: started when it is first needed, ended when it hangs, started again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from llm_gateway.scorers import LONGEST, Quality

from .child import read
from .tasks import Task

WAIT_S = 10.0
# A tool may keep what it was given; a process that is new keeps nothing.
TASKS_PER_CHILD = 500
_ROOT = Path(__file__).resolve().parents[2]
_decoder = msgspec.msgpack.Decoder(Quality)


class BenchFailed(Exception):
    """Nothing is known of the answer: the child ended or hung on it. The message is a line for the log and holds no text."""


class BenchBusy(BenchFailed):
    """As many wait as may."""


class Bench:
    """``score`` blocks and may be called from any thread; one task at a time, ``most`` waiting. ``close`` ends the child."""

    def __init__(self, *, wait_s: float = WAIT_S, most: int = 16) -> None:
        self._wait_s = wait_s
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._done = 0
        self.restarts = 0

    def score(self, task: Task) -> Quality:
        """Raises :class:`BenchFailed`."""
        if len(task.text) > LONGEST:
            raise BenchFailed("the text is too long")
        if not self._places.acquire(blocking=False):
            raise BenchBusy("too many answers wait to be scored")
        try:
            with self._lock:
                return self._score(msgspec.msgpack.encode(task))
        finally:
            self._places.release()

    def close(self) -> None:
        with self._lock:
            self._end()

    def _score(self, body: bytes) -> Quality:
        child = self._running()
        assert child.stdin is not None
        assert child.stdout is not None
        timer = threading.Timer(self._wait_s, child.kill)
        timer.start()
        try:
            child.stdin.write(len(body).to_bytes(4, "big") + body)
            child.stdin.flush()
            answer = read(child.stdout)  # type: ignore[arg-type]  # a buffered pipe
            if answer is None:
                raise BenchFailed(f"the scoring process ended with {child.wait(1)}")
            self._done += 1
            return _decoder.decode(answer)
        except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            raise BenchFailed(f"the scoring process failed: {type(error).__name__}") from None
        finally:
            timer.cancel()
            if child.poll() is not None or self._done >= TASKS_PER_CHILD:
                self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            try:
                self._child = subprocess.Popen(  # our own program
                    [sys.executable, "-m", "llm_gateway.probes.child"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    cwd=_ROOT,
                    # Nothing of the gateway's own: no key, no database.
                    env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
                    start_new_session=True,
                )
            except OSError as error:
                raise BenchFailed(f"no scoring process: {error.strerror}") from None
        return self._child

    def _end(self) -> None:
        child, self._child, self._done = self._child, None, 0
        if child is None:
            return
        self.restarts += 1
        child.kill()
        for stream in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        child.wait()
