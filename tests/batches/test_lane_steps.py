"""Single steps of the provider lane, and a process that dies between two of them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.support.rows import KEY_OF

from .conftest import chat
from .test_lane import PROVIDERS, ProviderRuns, books, lane
from .test_queue import take

__all__ = ["lane"]


def row_of(made: Any) -> Any:
    from llm_gateway.models import Batch

    return Batch.objects.get(pk=UUID(made["id"].removeprefix("batch_")))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_whose_create_went_unanswered_is_found_again_and_never_made_twice(lane: ProviderRuns, provider: str) -> None:
    before = len(created(lane))
    lane.gateway.simulator.control("batches", create=["late"], polls=1)
    made = lane.made([chat(n, f"{provider}/m") for n in range(1, 4)])
    with lane.lane():
        lane.ended(made["id"])
    found = books(made["id"])
    assert found["states"] == {("ok", "", True): 3}
    assert len(created(lane)) == before + 1
    assert "found again" in found["row"].shards.get().note


def test_a_batch_that_may_be_another_s_is_neither_cancelled_nor_deleted(lane: ProviderRuns) -> None:
    """A provider that keeps no names: a stranger's batch of the same size and moment is all that is found there."""
    from llm_gateway.models import ProviderKey

    simulator = lane.gateway.simulator
    params = {"model": "m", "max_tokens": 8, "messages": [{"role": "user", "content": "not yours"}]}
    body = {"requests": [{"custom_id": f"theirs-{n}", "params": params} for n in range(3)]}
    theirs = []
    for name in ProviderKey.objects.filter(provider__slug="anthropic").values_list("name", flat=True):
        headers = {"x-api-key": KEY_OF.format(f"anthropic-{name}"), "anthropic-version": "2023-06-01"}
        there = f"{simulator.base_url('anthropic')}/v1/messages/batches".replace("/v1/v1/", "/v1/")
        answer = httpx.post(there, json=body, headers=headers, trust_env=False)
        assert answer.status_code == 200, answer.text
        theirs.append(answer.json()["id"])
    before = len(simulator.journal)
    simulator.control("batches", create=["status:500"])
    made = lane.made([chat(n, "anthropic/m") for n in range(1, 4)])
    with lane.lane():
        lane.ended(made["id"])
    calls = [(one["method"], one["path"]) for one in simulator.journal[before:] if any(name in one["path"] for name in theirs)]
    assert calls, "it was not taken for ours: the test shows nothing"
    assert not [path for method, path in calls if method == "DELETE" or path.endswith("/cancel")]
    found = books(made["id"])
    assert found["row"].completed == 3  # executed here


def created(lane: ProviderRuns) -> list[Any]:
    endings = ("/v1/batches", "/messages/batches", ":batchGenerateContent")
    at = ("openai", "anthropic", "gemini")
    return [
        one for one in lane.gateway.simulator.journal if one["method"] == "POST" and one["provider"] in at and one["path"].endswith(endings)
    ]


def test_a_lost_line_is_charged_as_held_and_executed_once_here_and_a_refused_batch_costs_nothing(lane: ProviderRuns) -> None:
    lane.gateway.simulator.control("batches", jobs=["missing:2", "invalid"])
    lost, refused = (lane.made([chat(1, "openai/m"), chat(2, "openai/m")]) for _ in range(2))
    with lane.lane():
        lane.ended(lost["id"])
        lane.ended(refused["id"])
    found = books(lost["id"])
    (feared,) = found["rows"].filter(error_code="batch_result_missing")
    assert feared.cost_nusd == feared.hold_nusd > 0
    assert found["states"] == {("ok", "", True): 1, ("failed", "batch_result_missing", True): 1, ("ok", "", False): 1}
    line = found["row"].lines.get(number=2)
    assert (line.executions, line.earlier_id, line.lane, line.shard) == (2, feared.pk, "gateway", None)
    found = books(refused["id"])
    assert found["states"] == {("failed", "batch_not_executed", False): 2, ("ok", "", False): 2}
    assert sum(one.cost_nusd for one in found["rows"].filter(state="failed")) == 0
    for made in (lost, refused):
        assert row_of(made).shards.count() == 1


def test_a_process_that_dies_before_anything_was_sent_leaves_no_charge_and_no_line_behind(lane: ProviderRuns) -> None:
    from llm_gateway.api.batches.lane_lines import open_lines
    from llm_gateway.engine.batch_lane import lane_target
    from llm_gateway.models import BatchShard
    from llm_gateway.stores import batch_shards

    made = lane.made([chat(n, "openai/m") for n in range(1, 4)])
    batch, found, now = row_of(made), lane.gateway.gateway, datetime.now(UTC)
    identity = found.catalog.snapshot().clients[batch.client_key.public_id][1]
    target = lane_target(found.catalog.snapshot(), identity, "openai/m", now)
    assert not isinstance(target, str)
    shard = batch_shards.claim_new(batch.pk, "openai/m", target, (500, 1 << 24), "dead", now, timedelta(seconds=60))
    assert shard is not None
    opened = asyncio.run_coroutine_threadsafe(open_lines(found, shard, target), lane.gateway.loop).result(10)
    assert len(opened) == 3
    assert batch_shards.claim_due("other", now, timedelta(seconds=60)) is None
    BatchShard.objects.filter(pk=shard.id).update(lease_until=now)
    with lane.lane():
        lane.ended(made["id"])
    told = books(made["id"])
    assert told["states"] == {("failed", "batch_not_executed", False): 3, ("ok", "", True): 3}
    assert set(told["rows"].filter(state="failed").values_list("cost_nusd", flat=True)) == {0}
    assert set(told["row"].lines.values_list("executions", "earlier_id")) == {(1, None)}
    # Who was thought dead and is not notes nothing any more.
    assert batch_shards.note(shard, now, remote_id="late") is None


def test_a_runner_takes_only_what_fell_out_of_the_provider_lane(lane: ProviderRuns) -> None:
    from llm_gateway.stores import batch_ends, batch_shards

    made = lane.made([chat(n, "openai/m") for n in range(1, 4)])
    batch = row_of(made)
    assert take(10) == []
    assert batch_shards.let_fall(batch.pk, "openai/m", "no price any more", datetime.now(UTC)) == 3
    batch_ends.cancel(batch.pk, datetime.now(UTC))
    batch.refresh_from_db()
    assert (batch.cancelled, batch.lane_note) == (3, "no price any more")


def test_a_runner_takes_the_lines_of_the_one_model_that_fell_out(lane: ProviderRuns) -> None:
    from llm_gateway.stores import batch_shards

    made = lane.made([*(chat(n, "anthropic/m") for n in range(1, 3)), *(chat(n, "openai/m") for n in range(3, 6))])
    batch = row_of(made)
    assert batch_shards.let_fall(batch.pk, "openai/m", "no price any more", datetime.now(UTC)) == 3
    taken = [line.number for line in take(10)]
    batch.delete()
    assert taken == [3, 4, 5]


def test_the_rows_of_a_shard_wait_for_the_provider_and_for_no_process(lane: ProviderRuns) -> None:
    from llm_gateway.models import RequestLog
    from llm_gateway.stores import batch_shards

    lane.gateway.simulator.control("batches", polls=10_000)
    made = lane.made([chat(n, "openai/m") for n in range(1, 4)])
    batch = row_of(made)
    with lane.lane(least=60):
        lane.until(lambda: batch.shards.filter(state="waiting").exists())
    rows = RequestLog.objects.filter(batch_id=batch.pk, state="open")
    assert rows.count() == 3
    now = datetime.now(UTC)
    rows.update(lease_until=now + timedelta(seconds=5))
    batch_shards.renew("another", now, timedelta(seconds=60))
    assert all(lease > now + timedelta(minutes=50) for lease in rows.values_list("lease_until", flat=True))
    assert set(rows.values_list("worker", flat=True)) == {"another"}
    batch.shards.update(next_at=now, lease_until=None)
    assert lane.post(f"/v1/batches/{made['id']}/cancel").status_code == 200
    with lane.lane():
        lane.ended(made["id"])
    books(made["id"])


def test_economy_asks_for_the_flex_tier_where_it_is_priced_and_nowhere_else(lane: ProviderRuns) -> None:
    from django.utils import timezone

    from llm_gateway.models import LanguageModel, Price

    model = LanguageModel.objects.get(provider__slug="openai", upstream_id="*")
    price = {"effective_from": timezone.now() - timedelta(days=1), "input": Decimal("0.5"), "output": Decimal(1)}
    flex = Price.objects.create(model=model, tier="flex", **price)
    lane.gateway.refresh()
    try:
        lines = [chat(1, "openai/m"), chat(2, "chat/echo"), chat(3, "openai/m", service_tier="default")]
        made = lane.create(lines, metadata={"cogo_economy": "true"}).json()
        with lane.runner():
            lane.ended(made["id"])
    finally:
        flex.delete()
        lane.gateway.refresh()
    bodies = [json.loads(one["body"]) for one in lane.gateway.simulator.journal if one["path"].endswith("/chat/completions")]
    asked = {one["messages"][0]["content"]: one.get("service_tier") for one in bodies}
    assert asked == {"say 1": "flex", "say 2": None, "say 3": "default"}
    assert row_of(made).completed == 3
