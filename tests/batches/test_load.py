"""What batches may take: memory, time, money. Measured on processes of their own."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from tests.money.rig import Watchman, broken, settled
from tests.support.gateway import GatewayServer

from .processes import Runners, Shop, line, shop, until_ended


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_four_runners_never_spend_more_than_a_budget_has(test_database: None, django_db_blocker: Any) -> None:
    from llm_gateway.models import Budget

    with django_db_blocker.unblock(), shop(latency_ms=2) as (_, maker):
        # Enough for about a hundred of the thousand lines: one costs about 22,000 nUSD.
        maker.rows.issue("tight", budget_usd=Decimal("0.0022"), period="total")
        batch = maker.batch((line(n, "chat/echo") for n in range(1, 1001)), key="tight")
        going = Runners(4, places=8)
        try:
            with Watchman() as watchman:
                deadline = time.monotonic() + 60
                while not batch.pause_reason and time.monotonic() < deadline:
                    time.sleep(0.1)
                    batch.refresh_from_db()
                time.sleep(1.0)
                batch.refresh_from_db()
                assert batch.pause_reason, (batch.state, batch.completed)
        finally:
            going.stop()
        settled(30)
        assert not watchman.violations, watchman.violations[:5]
        budget = Budget.objects.get(client_key__name="tight")
        assert budget.posted_nusd <= budget.limit_nusd
        assert budget.posted_nusd >= 0.8 * budget.limit_nusd
        assert 50 < batch.completed < 200
        assert not (found := broken()), found
        print(f"\n4 runners: {batch.completed} of 1,000 lines for {budget.posted_nusd} of {budget.limit_nusd} nUSD, overshoot 0")  # noqa: T201


@pytest.mark.weekly
@pytest.mark.timeout(900)
def test_fifty_thousand_lines_of_200_mb_are_read_in_and_run_in_constant_memory(test_database: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), shop() as (_, maker):
        going = Runners(1)
        try:
            time.sleep(6)
            idle_kb = going.memory_kb("VmRSS")
            text = "x" * 3800
            began = time.monotonic()
            batch = maker.batch(line(n, "chat/echo", text) for n in range(1, 50_001))
            stored_s = time.monotonic() - began
            cpu, began = going.cpu_s(), time.monotonic()
            while batch.state == "validating":
                time.sleep(0.1)
                batch.refresh_from_db()
            read_s, read_cpu = time.monotonic() - began, going.cpu_s() - cpu
            cpu, began = going.cpu_s(), time.monotonic()
            while batch.completed < 3000:
                time.sleep(0.2)
                batch.refresh_from_db()
            rate = batch.completed / (going.cpu_s() - cpu)
            peak_kb = going.memory_kb()
        finally:
            going.stop()
        print(  # noqa: T201
            f"\n50,000 lines, {batch.input.bytes >> 20} MB: stored in {stored_s:.1f} s, read in within {read_s:.1f} s "
            f"({read_cpu:.1f} s of CPU); {rate:.0f} lines a second of CPU; memory {idle_kb >> 10} → {peak_kb >> 10} MB"
        )
        assert peak_kb - idle_kb <= 64 << 10
        assert read_cpu <= 5
        assert rate >= 350


@pytest.mark.weekly
@pytest.mark.timeout(300)
def test_a_small_batch_ends_long_before_a_large_one_of_another_team(test_database: None, django_db_blocker: Any) -> None:
    from llm_gateway.models import Team

    with django_db_blocker.unblock(), shop(latency_ms=2) as (_, maker):
        maker.rows.issue("small", team=Team.objects.create(name="Small", slug="small"))
        large = maker.batch(line(n, "chat/echo") for n in range(1, 50_001))
        small = maker.batch((line(n, "chat/echo") for n in range(1, 11)), key="small")
        going = Runners(1)
        try:
            until_ended([small], 200)
            large.refresh_from_db()
        finally:
            going.stop()
        assert large.completed < 2000


@pytest.mark.alone
@pytest.mark.weekly
@pytest.mark.timeout(300)
def test_live_requests_hardly_notice_a_full_batch(gateway: GatewayServer) -> None:
    """Ratios of one run, so that the machine does not matter: the slowest hundredth with a batch that never ends, and without it before and
    after."""
    ask = {"model": "chat/echo", "max_tokens": 8, "messages": [{"role": "user", "content": "say 1"}]}
    headers = {"Authorization": f"Bearer {gateway.rows.key}"}

    def slowest_ms(count: int = 500) -> float:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            answer = gateway.http.post("/v1/chat/completions", headers=headers, json=ask)
            took.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200, answer.text
            time.sleep(0.005)
        return sorted(took)[-count // 100]

    slowest_ms(100)
    before = slowest_ms()
    batch = Shop(gateway.rows).batch(line(n, "chat/echo") for n in range(1, 50_001))
    going = Runners(1)
    try:
        deadline = time.monotonic() + 60
        while batch.completed < 50:
            assert time.monotonic() < deadline, (batch.state, batch.completed)
            time.sleep(0.1)
            batch.refresh_from_db()
        done = batch.completed
        beside = slowest_ms()
        batch.refresh_from_db()
        assert batch.completed > done, "the batch stood still"
        assert batch.queued > 0, "the batch was too short"
    finally:
        going.stop()
    after = slowest_ms()
    ratio = beside / max(before, after)
    print(f"\nthe slowest hundredth: {before:.1f} ms before, {beside:.1f} ms beside a full batch, {after:.1f} ms after; × {ratio:.2f}")  # noqa: T201
    assert ratio <= 1.25
