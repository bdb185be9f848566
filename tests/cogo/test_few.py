"""The console's few places, and passwords one at a time."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password

from cogo import hashing
from cogo.few import Few
from cogo.hashing import QueuedHasher


class Page:
    """An application whose requests stay until they are let go."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.go = asyncio.Event()
        self.read = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.go.wait()
        self.inside -= 1
        if scope["path"] == "/broken":
            raise RuntimeError("a view that fails")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/slow-reader":
            await self.read.wait()
        await send({"type": "http.response.body", "body": b""})


async def ask(app: Few, path: str = "/admin/", method: str = "GET") -> int:
    found: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    await app({"type": "http", "method": method, "path": path}, None, send)
    return found[0]


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_pages_wait_for_a_few_places_and_all_are_answered() -> None:
    page = Page()
    app = Few(page, pages=3, sign_ins=1)
    asked = [asyncio.ensure_future(ask(app)) for _ in range(30)]
    await settled()
    assert page.inside == 3
    page.go.set()
    assert await asyncio.gather(*asked) == [200] * 30
    assert page.most == 3


async def test_a_flood_of_sign_ins_leaves_pages_their_places_and_programs_wait_for_nobody() -> None:
    page = Page()
    app = Few(page, pages=1, sign_ins=2)
    floods = [asyncio.ensure_future(ask(app, "/admin/login/", "POST")) for _ in range(30)]
    await settled()
    assert page.inside == 2
    one = asyncio.ensure_future(ask(app, "/admin/"))
    programs = [asyncio.ensure_future(ask(app, "/api/ai-models/generate", "POST")) for _ in range(10)]
    await settled()
    assert page.inside == 2 + 1 + 10
    page.go.set()
    assert set(await asyncio.gather(*floods, one, *programs)) == {200}


async def test_who_waits_too_long_or_with_too_many_is_told_that_the_console_is_busy() -> None:
    page = Page()
    app = Few(page, pages=1, waiting=2, wait_s=0.05)
    first = asyncio.ensure_future(ask(app))
    await settled()
    assert await asyncio.gather(*(ask(app) for _ in range(5))) == [503] * 5
    page.go.set()
    assert await first == 200
    assert await ask(app) == 200


async def test_a_slow_reader_and_a_view_that_fails_keep_no_place() -> None:
    page = Page()
    app = Few(page, pages=1)
    page.go.set()
    slow = asyncio.ensure_future(ask(app, "/slow-reader"))
    await settled()
    with pytest.raises(RuntimeError):
        await ask(app, "/broken")
    assert await ask(app) == 200
    page.read.set()
    assert await slow == 200


async def test_who_leaves_while_waiting_takes_no_place_along() -> None:
    page = Page()
    app = Few(page, pages=1)
    first = asyncio.ensure_future(ask(app))
    await settled()
    gone = asyncio.ensure_future(ask(app))
    await settled()
    gone.cancel()
    await settled()
    page.go.set()
    assert await first == 200
    assert await ask(app) == 200


class Counted(QueuedHasher):
    inside = most = 0
    threads: ClassVar[set[int]] = set()

    def _encode(self, password: str, salt: str, iterations: int | None) -> str:
        cls = type(self)
        cls.inside += 1
        cls.most = max(cls.most, cls.inside)
        cls.threads.add(threading.get_native_id())
        try:
            return super()._encode(password, salt, iterations)
        finally:
            cls.inside -= 1


def test_passwords_are_hashed_one_at_a_time_and_behind_everything_else() -> None:
    hasher = Counted()
    with ThreadPoolExecutor(12) as threads:
        found = set(threads.map(lambda number: hasher.encode("a password", "salt of the test", 2000), range(24)))
    assert found == {PBKDF2PasswordHasher().encode("a password", "salt of the test", 2000)}
    assert Counted.most == 1
    (thread,) = Counted.threads
    if sys.platform == "linux":
        assert os.getpriority(os.PRIO_PROCESS, thread) == min(19, max(hashing.NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def test_what_django_stored_is_still_known(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["cogo.hashing.QueuedHasher"]
    stored = PBKDF2PasswordHasher().encode("a password", "salt of the test", 2000)
    assert check_password("a password", stored)
    assert not check_password("another", stored)
