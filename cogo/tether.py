"""Run a program so that it cannot outlive the process that started it.

``python -m cogo.tether PARENT_PID MODULE [ARGS]`` (or ``PARENT_PID FILE.py [ARGS]``) becomes that
program. On Linux the kernel kills it, and whatever it forks, when its parent ends in any way,
``kill -9`` included; elsewhere only the supervisor's stop ends it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import runpy
import signal
import sys

from cogo import footing

_PR_SET_PDEATHSIG = 1  # linux/prctl.h; man 2 prctl: cleared in a forked child, kept over execve


def tie_to(parent: int) -> None:
    """Ends this process when ``parent`` is gone already; else the kernel will once it goes."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def tie_children() -> None:
    """Every process forked from this one, and from those, is tied to its own parent."""
    forking = os.getpid()

    def before() -> None:
        nonlocal forking
        forking = os.getpid()

    os.register_at_fork(before=before, after_in_child=lambda: tie_to(forking))


def stand_back() -> None:
    """Lower this process's priority as the supervisor asks: under load the relay comes first."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.nice(int(os.environ.get("COGO_NICENESS", "0")))


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2]
    tie_to(parent)
    tie_children()
    footing.take()
    stand_back()
    sys.argv = sys.argv[2:]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
