"""Normal callers beside 520 connections whose bodies do not come: nobody is refused, and p99 is at most 1.5 times the calm one."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import ExitStack

import pytest

from tests.reliability.rig import Heard, call, share, steadily
from tests.support.process import Process
from tests.support.raw import connected, generation, head
from tests.support.rows import Rows

RATE, SECONDS, HALF = 20, 6, 520


def asked(port: int, key: str) -> list[Heard]:
    return asyncio.run(steadily(port, lambda number: call("chat/x", key), RATE, SECONDS))


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("who", ["anonymous", "one key"])
def test_half_bodies_take_nothing_from_normal_callers(process: Process, standing_rows: Rows, who: str) -> None:
    greedy = standing_rows.issue(f"greedy {who}", max_concurrency=1)
    path = "/api/ai-models/generate"
    anonymous = head("POST", path, {"cookie": "sessionid=x", "content-type": "application/json"}, 100) + b"{"
    data = anonymous if who == "anonymous" else generation("openai_chat", greedy, "chat/x")[:-5]
    asked(process.port, standing_rows.key)
    calm = asked(process.port, standing_rows.key)
    with ExitStack() as stack:
        for _ in range(HALF):
            stack.enter_context(connected(process.port, data))
        # What is measured is their standing there, not this process opening them.
        time.sleep(2)
        beside = asked(process.port, standing_rows.key)
    process.told(signal.SIGTERM)
    assert process.ended(15) == 0
    p99 = [share([one.ms for one in heard], 0.99) for heard in (calm, beside)]
    print(f"\n{who}: p99 {p99[0]:.0f} ms calm, {p99[1]:.0f} ms beside {HALF} half bodies ({p99[1] / p99[0]:.2f} times)")  # noqa: T201  # the figure
    assert {one.status for one in beside} == {200}
    assert p99[1] <= 1.5 * p99[0]
