"""The shelf over Django's cache: the real Redis in the lane that has one, and the cache of one process elsewhere."""

from __future__ import annotations

import time
from uuid import uuid4

from llm_gateway.engine.ports import Slip
from llm_gateway.stores.answer_redis import AnswerRedis


def slip(lives_s: float = 60) -> Slip:
    now = time.time()
    return Slip(
        request_id=uuid4(), team_id=1, client_key_id=1, asked="a", model="a", made_at=now, expires_at=now + lives_s, at_rest=True
    )  # fmt: skip


def test_what_was_put_there_is_found_sealed_and_under_its_own_key_only() -> None:
    from django.core.cache import cache

    shelf, key, other = AnswerRedis(), uuid4().bytes, uuid4().bytes
    assert shelf.get(key) is None
    shelf.put([(key, b"an answer" * 100, slip())])
    assert shelf.get(key) == b"an answer" * 100
    assert shelf.get(other) is None
    sealed = cache.get(f"cogo-answer-{key.hex()}")
    assert "answer" not in sealed
    # Sealed for its own key: under another one it opens nothing.
    cache.set(f"cogo-answer-{other.hex()}", sealed)
    assert shelf.get(other) is None


def test_an_answer_goes_when_its_time_is_over() -> None:
    shelf, key = AnswerRedis(), uuid4().bytes
    shelf.put([(key, b"short", slip(lives_s=1))])
    until = time.monotonic() + 10
    while shelf.get(key) is not None:
        assert time.monotonic() < until
        time.sleep(0.1)
