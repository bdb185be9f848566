"""Identifiers whose random bytes are fetched for many at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from llm_gateway.engine.fresh import AT_ONCE, SIZE, entropy, new_id


def test_nobody_gets_the_same_bytes_whichever_thread_asks():
    got: list[bytes] = []

    def ask() -> None:
        got.extend([entropy() for _ in range(20 * AT_ONCE)])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(got) == len(set(got)) == 80 * AT_ONCE
    assert {len(one) for one in got} == {SIZE}


_FORK = """
import os
from llm_gateway.engine.fresh import entropy
entropy()
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, b"".join(entropy() for _ in range(100)))
    os._exit(0)
os.wait()
theirs = os.read(reading, 1000)
assert len(theirs) == 1000
ours = {entropy() for _ in range(600)}
assert not ours & {theirs[at : at + 10] for at in range(0, 1000, 10)}
"""


def test_a_forked_process_gives_out_none_of_its_parent_s_bytes():
    """In a process of its own: one with threads does not fork."""
    subprocess.run([sys.executable, "-c", _FORK], check=True, timeout=30)


def test_an_identifier_is_a_version_7_uuid_of_this_millisecond():
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {"specified in RFC 4122"}
    assert all(before <= one.int >> 80 <= time.time_ns() // 1_000_000 for one in made)
