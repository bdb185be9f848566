"""Runners are killed while shards are on their way: no batch is made twice at its provider, no line ends twice, every cent adds up."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.money.rig import broken, settled

from .processes import Runners, line, shop, until_ended
from .test_killed_runners import Watchman

SEED = 20261201


def batch_prices() -> None:
    from django.utils import timezone

    from llm_gateway.models import LanguageModel, Price

    for model in LanguageModel.objects.filter(provider__slug__in=("openai", "anthropic", "gemini"), upstream_id="*"):
        row = {"effective_from": timezone.now() - timedelta(days=1), "input": Decimal("0.5"), "output": Decimal(1)}
        Price.objects.create(model=model, tier="batch", **row)


def kill_under_way(lines: int, kills: int, runners: int, within_s: float) -> None:
    from django.db.models import Sum

    from llm_gateway.models import BatchLine, BatchResult, BatchShard, LedgerEntry, RequestLog

    draw = random.Random(SEED)
    with shop(latency_ms=0) as (simulator, maker):
        batch_prices()
        simulator.control("batches", polls=2, create=["ok", "late", "status:429"], jobs=["ok", "shuffled", "missing:50"])
        batches = [
            maker.batch((line(n, f"{provider}/m") for n in range(1, lines + 1)), cogo_lane="provider")
            for provider in ("openai", "anthropic", "gemini")
        ]
        going = Runners(runners, places=8)
        try:
            with Watchman() as watchman:
                deadline = time.monotonic() + 30
                while not BatchShard.objects.exists() and time.monotonic() < deadline:
                    time.sleep(0.01)
                for _ in range(kills):
                    time.sleep(draw.uniform(0.1, 1.5))
                    going.kill(draw)
                until_ended(batches, within_s)
                settled(60)
        finally:
            going.stop()
        assert not watchman.violations, watchman.violations[:5]
        assert not (found := broken()), found
        there = simulator.simulator.state.batches
        sent = [*there.jobs.values(), *there.deleted]
        asked = Counter(one.custom_id for job in sent for one in job.asked)
        assert max(asked.values()) == 1, "a line was sent twice under one name"
        shards = list(BatchShard.objects.all())
        assert {shard.state for shard in shards} == {"ended"}
        for batch in batches:
            assert batch.total == lines == batch.completed + batch.failed
            interrupted = BatchLine.objects.filter(batch=batch, error_code="interrupted").count()
            assert BatchResult.objects.filter(line__batch=batch).count() == lines - interrupted
            rows = RequestLog.objects.filter(batch_id=batch.pk)
            cost = rows.aggregate(sum=Sum("cost_nusd"))["sum"]
            entries = LedgerEntry.objects.filter(request__in=rows, kind="request", budget__isnull=False)
            assert batch.cost_nusd == cost == entries.aggregate(sum=Sum("amount_nusd"))["sum"]
        # A shard that was sent is at its provider once: what was made there and what the shards know is the same.
        made = {job.id for job in sent}
        known = {shard.remote_id for shard in shards if shard.remote_id}
        assert made == known, (made - known, known - made)
        feared = sum(shard.feared for shard in shards)
        print(  # noqa: T201  # the figures of docs/batch.md
            f"\n{3 * lines} lines at three providers, {kills} SIGKILLs (seed {SEED}): {len(shards)} shards, {len(sent)} batches made, "
            f"none twice, {feared} lines feared; counts added up in {watchman.looks} looks"
        )


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_five_kills_send_no_shard_twice_and_lose_no_line(test_database: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        kill_under_way(lines=120, kills=5, runners=2, within_s=300)


@pytest.mark.weekly
@pytest.mark.timeout(1500)
def test_thirty_kills_among_six_thousand_lines_send_no_shard_twice(test_database: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        kill_under_way(lines=2000, kills=30, runners=2, within_s=900)
