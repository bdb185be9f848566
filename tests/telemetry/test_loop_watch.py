"""The event-loop watchdog (P20)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from llm_gateway.telemetry.loop_watch import LoopWatch
from tests.support.gateway import GatewayServer


def hogs_the_loop(seconds: float, done: Callable[[], object] = lambda: True) -> None:
    """Blocks for so long, and then until ``done``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end or not done():
        time.sleep(0.005)


def lines(caplog: pytest.LogCaptureFixture, what: str) -> list[Any]:
    return [record for record in caplog.records if record.name == "cogo.loop" and what in record.message]


async def test_who_blocks_the_loop_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch(limit_s=0.15, beat_s=0.01)
    watch.start()
    await asyncio.sleep(0.1)
    began = time.monotonic()
    hogs_the_loop(0.5, lambda: lines(caplog, "is blocked"))
    hogged_ms = (time.monotonic() - began) * 1000
    while not lines(caplog, "goes on"):
        await asyncio.sleep(0.01)
    after_ms = (time.monotonic() - began) * 1000
    watch.stop()
    (blocked,) = lines(caplog, "is blocked")
    assert any("hogs_the_loop" in at for at in blocked.stack)
    assert 150 <= blocked.blocked_ms < hogged_ms, "told while it lasts"
    (over,) = lines(caplog, "goes on")
    assert hogged_ms - 100 <= over.blocked_ms <= after_ms


async def test_a_loop_that_only_waits_or_works_in_small_steps_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch(limit_s=0.5, beat_s=0.01)
    watch.start()
    await asyncio.sleep(0.2)
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        hogs_the_loop(0.005)
        await asyncio.sleep(0)
    watch.stop()
    assert not lines(caplog, "")
    assert "loop watch" not in [thread.name for thread in threading.enumerate()]


def test_the_gateway_watches_its_own_loop(gateway: GatewayServer, caplog: pytest.LogCaptureFixture) -> None:
    gateway.on_loop(hogs_the_loop, 0.6, lambda: lines(caplog, "is blocked"))
    (blocked,) = lines(caplog, "is blocked")
    assert any("hogs_the_loop" in at for at in blocked.stack)
