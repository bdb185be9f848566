"""Where answers are kept: bounded memory, a shelf that is left alone when it is slow or broken, writes that nobody waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from llm_gateway.engine.ports import Slip
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.stores import answers
from llm_gateway.stores.answers import OVERHEAD_BYTES, AnswerStore, Kept, Memory
from tests.support.clock import Stopwatch


def slip(at_rest: bool = True) -> Slip:
    now = time.time()
    return Slip(
        request_id=uuid4(), team_id=1, client_key_id=1, asked="a", model="a", made_at=now, expires_at=now + 60, at_rest=at_rest
    )  # fmt: skip


class FakeShelf:
    def __init__(self, wait_s: float = 0.0, error: Exception | None = None) -> None:
        self.wait_s = wait_s
        self.error = error
        self.held: dict[bytes, bytes] = {}
        self.looks = 0

    def may_have(self, key: bytes) -> bool:
        return True

    def get(self, key: bytes) -> bytes | None:
        self.looks += 1
        if self.error:
            raise self.error
        return self.held.get(key)

    def put(self, kept: Sequence[Kept]) -> None:
        if self.error:
            raise self.error
        self.held |= {key: data for key, data, _ in kept}

    def refresh(self) -> Sequence[bytes]:
        return ()


def store(shelf: FakeShelf, **more: Any) -> tuple[AnswerStore, TaskOwner]:
    async def threaded(work: Any, *args: Any) -> Any:
        await asyncio.sleep(shelf.wait_s)
        return work(*args)

    owner = TaskOwner()
    return AnswerStore(owner, threaded, shelf, **more), owner


def test_memory_is_bounded_and_keeps_what_is_used() -> None:
    memory = Memory(10 * (1000 + OVERHEAD_BYTES))
    for number in range(10):
        memory.put(bytes([number]), b"x" * 1000)
    memory.get(b"\0")
    memory.put(b"new", b"x" * 1000)
    assert memory.get(b"\0") is not None
    assert memory.get(b"\1") is None
    assert len(memory) == 10
    memory.put(b"new", b"")
    memory.put(b"huge", b"x" * 20_000)
    assert len(memory) == 0
    assert memory.size == 0


async def test_a_silent_shelf_costs_one_short_wait_a_few_times_and_then_nothing() -> None:
    shelf = FakeShelf(wait_s=5.0)
    found, owner = store(shelf)
    watch = Stopwatch()
    for number in range(50):
        assert await found.find(bytes([number])) is None
    assert watch.took_s < 2.0, "three waits of 20 ms, not fifty of five seconds"
    assert found._looks == answers.FAULTS
    began_cpu = time.process_time()
    for number in range(1000):
        assert await found.find(number.to_bytes(4)) is None
    assert time.process_time() - began_cpu < 0.5
    found.keep(b"k", b"data", slip())
    assert await found.find(b"k") == b"data", "memory goes on"
    assert found.dropped == 1
    await owner.close()


async def test_a_broken_shelf_is_a_miss_and_is_asked_again_after_a_while() -> None:
    shelf = FakeShelf(error=OSError("gone"))
    found, owner = store(shelf)
    for _ in range(10):
        assert await found.find(b"k") is None
    assert shelf.looks == answers.FAULTS
    shelf.error = None
    shelf.held[b"k"] = b"data"
    found._left_alone_until = 0.0
    assert await found.find(b"k") == b"data"
    shelf.held.clear()
    assert await found.find(b"k") == b"data", "it is in memory now"
    await owner.close()


async def test_writing_is_never_waited_for_and_what_is_too_much_is_dropped() -> None:
    shelf = FakeShelf(wait_s=0.02)
    found, owner = store(shelf)
    for number in range(answers.MOST_WAITING + 50):
        found.keep(number.to_bytes(4), b"x", slip())
    assert found.dropped == 50
    await owner.settle(5)
    found.keep(b"secret", b"x", slip(at_rest=False))
    await owner.settle(5)
    assert await found.find(b"secret") == b"x"
    assert len(shelf.held) == answers.MOST_WAITING
    assert b"secret" not in shelf.held


async def test_an_answer_that_came_while_the_shelf_was_asked_is_found() -> None:
    """Without it a twin that was late by that moment would be sent as well."""
    made, owner = store(FakeShelf(wait_s=0.05))
    made.deadline_s = 5.0
    looking = asyncio.ensure_future(made.find(b"key"))
    await asyncio.sleep(0.01)
    made.keep(b"key", b"answer", slip(at_rest=False))
    assert await looking == b"answer"
    await owner.close()
