"""The provider lane against the simulator's batch APIs and their faults: every line ends once, every cent is in the books."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
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

    @staticmethod
    def until(done: Callable[[], bool], within_s: float = 20) -> None:
        deadline = time.monotonic() + within_s
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.05)


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


@pytest.mark.slow
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


def test_a_batch_that_does_not_fit_is_told_why_or_runs_here_and_says_so(lane: ProviderRuns, settings: Any) -> None:
    for line, word in (
        (chat(1, "auto"), "strategy"),
        (chat(1, "chat/echo"), "batch API"),
        (chat(1, "fireworks/m"), "batch API"),
        ({**chat(1, "openai/m"), "url": "/v1/embeddings", "body": {"model": "openai/m", "input": "x"}}, "kind `embeddings`"),
    ):
        endpoint = line["url"]
        made = lane.create([line], endpoint, metadata=ASKED).json()
        assert made["status"] == "failed", made
        (fault,) = made["errors"]["data"]
        assert (fault["code"], fault["line"]) == ("lane_unavailable", 1)
        assert word in fault["message"], fault
    assert lane.create([chat(1)], metadata={"cogo_lane": "fast"}).status_code == 400
    settings.COGO_BATCH_LANE = "provider"
    mixed = lane.create([chat(1, "openai/m"), chat(2, "chat/echo")]).json()
    with lane.lane():
        ended = lane.ended(mixed["id"])
    found = books(mixed["id"])
    assert ended["request_counts"]["completed"] == 2
    assert (found["row"].lane, "batch API" in found["row"].lane_note) == ("gateway", True)
    assert found["row"].shards.count() == 0


def test_what_a_live_request_would_be_refused_for_is_refused_in_the_lane(lane: ProviderRuns) -> None:
    lines = [chat(1, "openai/m"), chat(2, "openai/fault:status:400"), chat(3, "openai/m", messages="nonsense"), chat(4, "anthropic/m", n=3)]
    made = lane.made(lines)
    with lane.lane():
        ended = lane.ended(made["id"])
    assert ended["request_counts"] == {"total": 4, "completed": 1, "failed": 3}
    failed = {one["custom_id"]: one["response"]["status_code"] for one in lane.results(ended, "error_file_id")}
    assert failed == {"c2": 400, "c3": 400, "c4": 400}
    books(made["id"])


@pytest.mark.slow
def test_a_hard_budget_is_never_passed_by_a_shard_and_pauses_the_rest(lane: ProviderRuns) -> None:
    from llm_gateway.models import Batch, Budget

    key = lane.gateway.issue("poor in the lane", budget_usd=Decimal("0.0003"), period="total")
    mine = ProviderRuns(lane.gateway, key)
    made = mine.made([chat(n, "openai/m") for n in range(1, 41)])
    row = Batch.objects.get(pk=UUID(made["id"].removeprefix("batch_")))
    with mine.lane():
        mine.until(lambda: bool(Batch.objects.get(pk=row.pk).pause_reason) and not row.shards.exclude(state="ended").exists())
        budget = Budget.objects.get(client_key__name="poor in the lane")
        row.refresh_from_db()
        assert 0 < row.completed < 40
        assert budget.posted_nusd + budget.held_nusd <= budget.limit_nusd
        budget.limit_nusd *= 100
        budget.save(update_fields=["limit_nusd"])
        Batch.objects.filter(pk=row.pk).update(look_again_at=row.created_at)
        ended = mine.ended(made["id"])
    assert ended["request_counts"]["completed"] == 40
    books(made["id"])


@pytest.mark.slow
def test_cancel_and_the_end_of_the_window_go_through_to_the_provider_and_what_it_did_is_kept_and_billed(lane: ProviderRuns) -> None:
    from datetime import UTC, datetime

    from llm_gateway.models import Batch

    lane.gateway.simulator.control("batches", polls=10_000)
    batches = [lane.made([chat(n, f"{provider}/m") for n in range(1, 7)]) for provider in PROVIDERS]
    late = lane.made([chat(n, "openai/m") for n in range(1, 7)])
    ids = [UUID(one["id"].removeprefix("batch_")) for one in (*batches, late)]
    with lane.lane():
        lane.until(lambda: all(Batch.objects.get(pk=pk).shards.filter(state="waiting").exists() for pk in ids))
        for made in batches:
            assert lane.post(f"/v1/batches/{made['id']}/cancel").status_code == 200
        Batch.objects.filter(pk=ids[-1]).update(ends_at=datetime.now(UTC))
        ended = [lane.ended(one["id"]) for one in (*batches, late)]
    for one in ended[:-1]:
        assert (one["status"], one["request_counts"]["completed"]) == ("cancelled", 3)
        assert books(one["id"])["row"].cancelled == 3
    assert ended[-1]["status"] == "expired"
    assert books(late["id"])["row"].expired == 3
    assert len(lane.results(ended[-1])) == 3


def test_a_native_batch_gets_its_own_answers_from_a_providers_batch_api(lane: ProviderRuns) -> None:
    asked = {"prompt": "a {x}", "rows": [{"x": "b"}], "defaults": {"model": "anthropic/m", "max_tokens": 9}, "metadata": ASKED}
    native = lane.post("/api/ai-models/batches", json=asked)
    assert native.status_code < 300, native.text
    with lane.lane():
        lane.until(lambda: lane.get(f"/api/ai-models/batches/{native.json()['id']}").json()["status"] == "completed")
    (line,) = lane.get(f"/api/ai-models/batches/{native.json()['id']}/results").json()["results"]
    assert line["status"] == "completed"
    assert line["response"]["content"]
