"""T2: processes are killed at random moments under load: no row is lost, no hold leaks, everything ends within a minute."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from .rig import LEASE_S, Crowd, Rig, Watchman, broken, rig, settled

SEED = 20261122


@pytest.fixture
def two(test_database: None, django_db_blocker: Any) -> Iterator[Rig]:
    with django_db_blocker.unblock(), rig(2) as found:
        yield found


def kill_under_load(rig: Rig, kills: int) -> None:
    from django.db import connection

    from llm_gateway.models import Attempt, RequestLog

    draw = random.Random(SEED)
    key = rig.rows.issue("k", budget_usd=Decimal(1), period="day")
    time.sleep(2.0)  # both processes know it
    crowd = Crowd(rig, [key], 30)
    done = threading.Event()
    sent: list[int] = []
    caller = threading.Thread(target=lambda: sent.append(asyncio.run(crowd.until(done))))
    with Watchman() as watchman:
        caller.start()
        for _ in range(kills):
            if draw.random() < 0.5:
                rig.processes.wait_ready()
            time.sleep(draw.uniform(0.05, 0.45))
            rig.processes.kill(draw)
        last_kill = time.monotonic()
        time.sleep(0.3)
        done.set()
        caller.join(60)
        rig.processes.wait_ready()
        settled(60)
        quiet_after = time.monotonic() - last_kill
    assert not watchman.violations, watchman.violations[:5]
    lost = rig.missing()
    assert not lost, (SEED, sorted(lost)[:5])
    assert not (found := broken()), (SEED, found)
    orphans = RequestLog.objects.filter(state="orphaned").count()
    ok = RequestLog.objects.filter(state="ok", usage_source="reported")
    assert sum(ok.values_list("cost_nusd", flat=True)) == rig.billed(ok)
    assert Attempt.objects.filter(request__state="open").count() == 0
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            assert cursor.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    print(  # noqa: T201  # the figures of docs/money.md
        f"\nT2: {kills} SIGKILLs among {sent[0]} requests (seed {SEED}): 0 of {len(rig.simulator.journal)} lost, {orphans} orphaned, "
        f"0 open and 0 held {quiet_after:.1f} s after the last kill (lease {LEASE_S} s); callers saw {dict(crowd.seen)}"
    )


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_five_kills_lose_nothing(two: Rig) -> None:
    kill_under_load(two, 5)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_fifty_kills_lose_nothing(two: Rig) -> None:
    kill_under_load(two, 50)
