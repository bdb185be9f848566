"""The provider lane against the simulator's batch APIs and their faults: every line ends once, every cent is in the books."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.support.gateway import GatewayServer

from .conftest import Lane, chat

PROVIDERS = ("openai", "anthropic", "gemini")
NO_FAULTS: dict[str, Any] = {name: [] for name in ("jobs", "upload", "create", "poll", "download", "list", "cancel")}
ASKED = {"cogo_lane": "provider"}


class ProviderRuns(Lane):
    """``lane()`` runs the provider lane with pauses of milliseconds, beside the runner that executes what falls out of it."""

    @contextlib.contextmanager
    def lane(self, runner: bool = True, **pace: float) -> Iterator[None]:
        from llm_gateway.api.batches.lane import LanePace, ProviderLane
        from llm_gateway.engine.tasks import TaskOwner

        quick = {"loop": 0.02, "least": 0.01, "most": 0.1, "settle": 0.05, "trouble": 0.01, **pace}
        found = self.gateway.gateway
        owner = self.gateway.on_loop(TaskOwner)
        lane = self.gateway.on_loop(lambda: ProviderLane(found, owner, lease_s=60, pace=LanePace(**quick)))
        with contextlib.ExitStack() as stack:
            if runner:
                stack.enter_context(self.runner())
            running = asyncio.run_coroutine_threadsafe(lane.run(), self.gateway.loop)
            try:
                yield
            finally:
                running.cancel()
                asyncio.run_coroutine_threadsafe(owner.close(), self.gateway.loop).result(10)

    def made(self, lines: list[Any], **metadata: str) -> Any:
        answer = self.create(lines, metadata={**ASKED, **metadata})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def calls(self, method: str, ending: str) -> int:
        entries = [one for one in self.gateway.simulator.journal if one["method"] == method and one["path"].endswith(ending)]
        return len(entries)


@pytest.fixture
def lane(gateway: GatewayServer) -> ProviderRuns:
    from django.utils import timezone

    from llm_gateway.models import LanguageModel, Price

    for model in LanguageModel.objects.filter(provider__slug__in=PROVIDERS, upstream_id="*"):
        row = {"tier": "batch", "effective_from": timezone.now() - timedelta(days=1), "input": Decimal("0.5"), "output": Decimal(1)}
        Price.objects.get_or_create(model=model, tier="batch", defaults=row)
    gateway.refresh()
    gateway.simulator.control("batches", polls=0, **NO_FAULTS)
    return ProviderRuns(gateway)


def books(batch: str) -> dict[str, Any]:
    """BT1 to BT3, and what the rows of a batch say."""
    from django.db.models import Sum

    from llm_gateway.models import Batch, BatchResult, LedgerEntry, RequestLog
    from tests.money.rig import broken

    row = Batch.objects.get(pk=UUID(batch.removeprefix("batch_")))
    assert not (found := broken()), found
    assert row.total == row.completed + row.failed + row.expired + row.cancelled
    rows = RequestLog.objects.filter(batch_id=row.pk)
    cost = rows.aggregate(sum=Sum("cost_nusd"))["sum"] or 0
    ledger = LedgerEntry.objects.filter(request__in=rows, budget__isnull=False).aggregate(sum=Sum("amount_nusd"))["sum"] or 0
    assert row.cost_nusd == cost == ledger
    assert not rows.filter(state="open").exists()
    assert BatchResult.objects.filter(line__batch=row).count() <= row.total
    states = [(state, code, tier == "batch") for state, code, tier in rows.values_list("state", "error_code", "service_tier")]
    return {"row": row, "rows": rows, "cost": cost, "states": {one: states.count(one) for one in states}}


def in_order(lane: Lane, ended: Any) -> list[str]:
    return [one["custom_id"] for one in lane.results(ended)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_goes_through_its_providers_api_at_half_the_price_and_comes_back_in_order(lane: ProviderRuns, provider: str) -> None:
    lane.gateway.simulator.control("batches", polls=1, jobs=["shuffled"])
    made = lane.made([chat(n, f"{provider}/m") for n in range(1, 6)])
    with lane.lane():
        ended = lane.ended(made["id"])
    assert ended["request_counts"] == {"total": 5, "completed": 5, "failed": 0}
    assert in_order(lane, ended) == [f"c{n}" for n in range(1, 6)]
    first = lane.results(ended)[0]["response"]
    assert (first["status_code"], first["body"]["object"]) == (200, "chat.completion")
    found = books(made["id"])
    assert found["states"] == {("ok", "", True): 5}
    usage = found["rows"][0]
    assert usage.cost_nusd == usage.input_tokens * 500 + usage.output_tokens * 1000
    shard = found["row"].shards.get()
    assert (shard.state, shard.total, shard.answered, shard.feared, shard.returned) == ("ended", 5, 5, 0, 0)


def test_whatever_a_provider_does_to_a_shard_every_line_ends_once_and_every_cent_is_in_the_books(lane: ProviderRuns) -> None:
    """Each case is a batch of six lines: (its faults, its provider, the rows that it leaves by state, code and tier)."""
    ok, here = ("ok", "", True), ("ok", "", False)
    lost, back = ("failed", "batch_result_missing", True), ("failed", "batch_not_executed", False)
    cases: list[tuple[dict[str, Any], str, dict[Any, int], dict[str, int]]] = [
        ({"jobs": ["missing:3"]}, "openai", {ok: 4, lost: 2, here: 2}, {"answered": 4, "feared": 2}),
        ({"jobs": ["missing:2"]}, "anthropic", {ok: 3, lost: 3, here: 3}, {"answered": 3, "feared": 3}),
        ({"jobs": ["half"]}, "gemini", {ok: 3, lost: 3, here: 3}, {"answered": 3, "feared": 3}),
        ({"jobs": ["twice"]}, "openai", {ok: 6}, {"answered": 6}),
        ({"jobs": ["stranger"]}, "anthropic", {ok: 6}, {"answered": 6}),
        ({"jobs": ["expired"]}, "openai", {ok: 3, back: 3, here: 3}, {"answered": 3, "returned": 3}),
        ({"jobs": ["expired"]}, "anthropic", {ok: 3, back: 3, here: 3}, {"answered": 3, "returned": 3}),
        ({"jobs": ["expired"]}, "gemini", {ok: 3, back: 3, here: 3}, {"answered": 3, "returned": 3}),
        ({"jobs": ["invalid"]}, "openai", {back: 6, here: 6}, {"returned": 6}),
        ({"jobs": ["invalid"]}, "anthropic", {back: 6, here: 6}, {"returned": 6}),
        ({"jobs": ["invalid"]}, "gemini", {back: 6, here: 6}, {"returned": 6}),
        ({"jobs": ["gone"]}, "gemini", {lost: 6, here: 6}, {"feared": 6}),
        ({"create": ["status:429", "status:500"], "poll": ["status:500", "status:429"]}, "openai", {ok: 6}, {"answered": 6}),
        ({"upload": ["status:500"], "download": ["status:500", "cut"]}, "openai", {ok: 6}, {"answered": 6}),
        ({"download": ["cut", "status:429"], "list": ["status:500"], "create": ["late"]}, "anthropic", {ok: 6}, {"answered": 6}),
        ({"create": ["late"], "list": ["status:500", "cut"]}, "openai", {ok: 6}, {"answered": 6}),
        ({"create": ["late"], "poll": ["cut"]}, "gemini", {ok: 6}, {"answered": 6}),
        ({"upload": ["status:400"]}, "openai", {back: 6, here: 6}, {"returned": 6}),
        ({"create": ["status:403"]}, "gemini", {back: 6, here: 6}, {"returned": 6}),
    ]
    batches = []
    with lane.lane():
        for faults, provider, _, _ in cases:
            lane.gateway.simulator.control(
                "batches", **{"jobs": [], "create": [], "poll": [], "list": [], "download": [], "upload": [], **faults}
            )
            made = lane.made([chat(n, f"{provider}/m") for n in range(1, 7)])
            batches.append(lane.ended(made["id"]))
    for (faults, provider, states, counts), ended in zip(cases, batches, strict=True):
        said = (faults, provider)
        assert ended["request_counts"] == {"total": 6, "completed": 6, "failed": 0}, said
        assert in_order(lane, ended) == [f"c{n}" for n in range(1, 7)], said
        found = books(ended["id"])
        assert found["states"] == states, said
        shard = found["row"].shards.get()
        assert {name: getattr(shard, name) for name in counts} == counts, said
        assert shard.answered + shard.failed + shard.feared + shard.returned == 6, said
        feared = found["rows"].filter(error_code="batch_result_missing")
        assert all(one.cost_nusd == one.hold_nusd > 0 for one in feared), said
        assert not any(one.cost_nusd for one in found["rows"].filter(error_code="batch_not_executed")), said
    # What went unanswered was found again and not made a second time.
    simulator = lane.gateway.simulator.simulator
    assert len(simulator.state.batches.jobs) <= len(cases)
