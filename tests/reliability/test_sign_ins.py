"""Thirty people who sign in at once, with wrong passwords, beside calls: the relay goes on at its pace."""

from __future__ import annotations

import re
import statistics
import threading
import time

import httpx
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User

from tests.support.process import Process
from tests.support.rows import Rows
from tests.support.speaking import Speaker

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(240)]
AT_ONCE = 30
CALLS = 120


class Knocking:
    """``with Knocking(port) as knocking:`` — so many, each again as soon as it is answered, until the block ends."""

    def __init__(self, port: int) -> None:
        self._stop = threading.Event()
        self._url = f"http://127.0.0.1:{port}/admin/login/"
        self._threads = [threading.Thread(target=self._knock, daemon=True) for _ in range(AT_ONCE)]
        self.statuses: list[int] = []

    def __enter__(self) -> Knocking:
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 60
        while not self.statuses and time.monotonic() < deadline:
            time.sleep(0.05)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _knock(self) -> None:
        with httpx.Client(trust_env=False, timeout=60) as browser:
            page = browser.get(self._url)
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
            assert token
            while not self._stop.is_set():
                form = {"username": "somebody", "password": "a wrong one", "csrfmiddlewaretoken": token[1]}
                self.statuses.append(browser.post(self._url, data=form, headers={"referer": self._url}).status_code)


def milliseconds(speaker: Speaker) -> list[float]:
    found = []
    for _ in range(CALLS):
        began = time.perf_counter()
        assert speaker.ask("chat/fault:ok", "hello").status == 200
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found)


def test_a_flood_of_sign_ins_does_not_slow_the_relay(standing_rows: Rows) -> None:
    known = PBKDF2PasswordHasher().encode("the right one", "a salt of this test")
    User.objects.filter(username="somebody").delete()
    User.objects.create(username="somebody", password=known, is_staff=True)
    process = Process()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{process.port}", timeout=30, trust_env=False) as http:
            speaker = Speaker(http, "openai_chat", standing_rows.key)
            milliseconds(speaker)
            quiet = milliseconds(speaker)
            with Knocking(process.port) as knocking:
                loud = milliseconds(speaker)
    finally:
        process.told(15)
        process.ended(20)
        User.objects.filter(username="somebody").delete()
    assert knocking.statuses, "somebody got an answer"
    assert set(knocking.statuses) <= {200, 429, 403, 503}
    p50, p99 = statistics.median(loud) / statistics.median(quiet), loud[int(CALLS * 0.99)] / quiet[int(CALLS * 0.99)]
    seen = f"p50 {statistics.median(quiet):.1f} to {statistics.median(loud):.1f} ms, p99 times {p99:.1f}"
    assert p50 < 4, seen
    assert p99 < 6, seen
