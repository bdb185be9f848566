"""A stopwatch for bounds that have to hold on a busy machine, too."""

from __future__ import annotations

import time
from pathlib import Path

_TASKS = Path("/proc/self/task")


class Stopwatch:
    """Runs from its creation.

    ``wall_s`` is the time that passed: compare it with lower bounds. ``took_s`` leaves out the time in which threads of this process
    were ready to run but other programs held the cores: compare it with upper bounds. On a quiet machine the two are equal. Where the
    kernel keeps no such figures they are equal, too.
    """

    def __init__(self) -> None:
        self._waited = _waited_for_a_core_s()
        self._began = time.monotonic()

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def stolen_s(self) -> float:
        """What other programs took."""
        return max(_waited_for_a_core_s() - self._waited, 0.0)

    @property
    def took_s(self) -> float:
        return max(self.wall_s - self.stolen_s, 0.0)


def _waited_for_a_core_s() -> float:
    """The seconds that this process's living threads have stood in a run queue. The second figure of ``schedstat`` has nanoseconds."""
    waited = 0
    try:
        for task in _TASKS.iterdir():
            try:
                waited += int((task / "schedstat").read_text().split()[1])
            except (OSError, IndexError, ValueError):  # the thread has just ended
                continue
    except OSError:
        return 0.0
    return waited / 1e9
