"""Random bytes for identifiers, fetched for many at once."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections import deque

from llm_gateway.core.ids import uuid7
from llm_gateway.strategies import DRAWS

SIZE = 10
# Asking the system lets go of the interpreter's lock, and under load another thread takes it: so it is asked once for this many.
AT_ONCE = 256

_pool: deque[bytes] = deque()
# A forked process would give out its parent's bytes once more.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)


def entropy() -> bytes:
    """Ten random bytes that nobody else gets, in any thread."""
    while True:
        try:
            return _pool.popleft()
        except IndexError:
            many = os.urandom(SIZE * AT_ONCE)
            _pool.extend(many[at : at + SIZE] for at in range(0, len(many), SIZE))


def fresh_draw() -> float:
    """A uniform number in [0, 1) of so few bits that a decision's record holds it exactly."""
    return random.getrandbits(32) / DRAWS  # spreads load


def new_id() -> uuid.UUID:
    """An identifier of a request: ordered by time, unguessable."""
    try:
        mine = _pool.popleft()
    except IndexError:
        mine = entropy()
    return uuid7(time.time_ns() // 1_000_000, mine)
