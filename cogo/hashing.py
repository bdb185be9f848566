"""Hashes passwords one at a time at low priority: thirty people who sign in at once must not take
the processors from the relay.

OpenSSL releases the interpreter while it hashes, so hashing costs the relay only processor time,
and this thread yields that first.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from typing_extensions import override

# On Linux each thread has its own; under full load it still gets a tenth of a processor. A process
# that was started with less stays there.
NICENESS = 10


def _stand_back() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


_thread: ThreadPoolExecutor


def _new() -> None:
    global _thread  # noqa: PLW0603  # one per process is the point
    _thread = ThreadPoolExecutor(1, "hashing", initializer=_stand_back)


_new()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new)  # a forked process has none of its parent's threads


class QueuedHasher(PBKDF2PasswordHasher):
    """Django's own algorithm and format; only the thread differs."""

    @override
    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        return _thread.submit(self._encode, password, salt, iterations).result()

    def _encode(self, password: str, salt: str, iterations: int | None) -> str:
        return super().encode(password, salt, iterations)
