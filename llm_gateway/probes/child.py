"""``python -m llm_gateway.probes.child``: reads tasks from standard input, writes what they come to. Ends with its input.

It has no secret in its environment and no database. Its limits are its own: memory by the kernel, time by whoever started it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from typing import BinaryIO

import msgspec

MEMORY = 768 << 20
NICENESS = 10


def main() -> None:
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(NICENESS)
    asks, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a tool that prints must not write between the answers
    from .tasks import Task, run

    decoder = msgspec.msgpack.Decoder(Task)
    while (body := read(asks)) is not None:
        made = msgspec.msgpack.encode(run(decoder.decode(body)))
        answers.write(len(made).to_bytes(4, "big") + made)
        answers.flush()


def read(stream: BinaryIO) -> bytes | None:
    """One length and what follows it; ``None`` at the end."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    length = int.from_bytes(head, "big")
    body = stream.read(length)
    return body if len(body) == length else None


if __name__ == "__main__":
    main()
