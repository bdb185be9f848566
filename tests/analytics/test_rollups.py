"""The rollups say what the log says, however often and whenever they are made."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics import rollups, tasks
from analytics.histogram import of, packed
from analytics.models import COUNTS, DailyRollup, HourlyRollup, RollupState
from llm_gateway.models import RequestLog
from tests.analytics import factories

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
T = datetime(2026, 11, 18, 10, 30, tzinfo=UTC)


@pytest.fixture
def served() -> Any:
    return factories.model("acme-1", factories.provider())


def stored(model: Any) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "id"} for row in model.objects.order_by("model", *model._meta.ordering, "pk").values()]


def sums(model: Any) -> dict[str, int]:
    return {name: sum(getattr(row, name) for row in model.objects.all()) for name in COUNTS}


def test_an_empty_log_makes_nothing() -> None:
    assert rollups.roll_up(T) == {"hours": 0, "days": 0}
    assert not RollupState.objects.exists()
    assert tasks.roll_up() == {"hours": 0, "days": 0}


def test_a_row_lands_in_its_hour_and_day_with_all_its_figures(served: Any) -> None:
    key = factories.client_key()
    factories.request(
        T, key, served, input_tokens=10, output_tokens=20, cache_read_tokens=3, cache_write_tokens=4, cache_write_1h_tokens=5,
        reasoning_tokens=6, audio_input_tokens=7, audio_output_tokens=8, cost_nusd=99, latency_ms=1000, ttft_ms=100, attempt_count=2,
        tag="nightly",
        usage_source="estimated",
    )  # fmt: skip
    rollups.roll_up(T + HOUR)
    hour, day = HourlyRollup.objects.get(), DailyRollup.objects.get()
    assert (hour.hour, day.day) == (T.replace(minute=0), T.date())
    for row in (hour, day):
        assert (row.team_id, row.client_key_id, row.provider, row.model) == (key.team_id, key.pk, "acme", "acme-1")
        assert (row.strategy, row.tag, row.kind, row.simulated) == ("enterprise", "nightly", "chat", False)
        figures = {name: getattr(row, name) for name in COUNTS if getattr(row, name)}
        assert figures == {
            "requests": 1, "ok": 1, "attempts": 2, "estimated_requests": 1, "cost_nusd": 99, "estimated_cost_nusd": 99, "input_tokens": 10,
            "output_tokens": 20, "cache_read_tokens": 3, "cache_write_tokens": 4, "cache_write_1h_tokens": 5, "reasoning_tokens": 6,
            "audio_input_tokens": 7, "audio_output_tokens": 8, "latency_count": 1, "latency_sum_ms": 1000, "ttft_count": 1,
            "ttft_sum_ms": 100,
        }  # fmt: skip
        assert row.latency_square_sum == 1_000_000
        assert (bytes(row.latency_histogram), bytes(row.ttft_histogram)) == (packed(of(72)), packed(of(48)))


@pytest.mark.parametrize(
    ("state", "counter", "cost", "unknown"),
    [
        ("ok", "ok", 5, 0),
        ("ok", "ok", None, 1),
        ("partial", "partial", None, 1),
        ("failed", "failed", None, 1),
        ("client_cancelled", "cancelled", None, 1),
        ("orphaned", "orphaned", None, 1),
        ("rejected", "rejected", None, 0),
        ("replayed", "replayed", None, 0),
    ],
)
def test_states_are_counted_apart_and_unknown_cost_is_never_zero(
    served: Any, state: str, counter: str, cost: int | None, unknown: int
) -> None:
    factories.request(T, factories.client_key(), served, state=state, cost_nusd=cost)
    rollups.roll_up(T + HOUR)
    row = HourlyRollup.objects.get()
    assert (row.requests, getattr(row, counter), row.unknown_cost_requests, row.cost_nusd) == (1, 1, unknown, cost or 0)
    assert row.latency_count == (1 if state == "ok" else 0)


def test_a_failure_before_anything_was_sent_cost_nothing(served: Any) -> None:
    factories.request(T, None, served, state="failed", cost_nusd=None, attempt_count=0)
    rollups.roll_up(T + HOUR)
    assert HourlyRollup.objects.get().unknown_cost_requests == 0


def test_running_again_changes_nothing(served: Any) -> None:
    key = factories.client_key()
    for minutes in range(0, 600, 7):
        factories.request(T + timedelta(minutes=minutes), key, served, latency_ms=minutes)
    end = T + timedelta(minutes=600)
    rollups.roll_up(end)
    before = stored(HourlyRollup), stored(DailyRollup)
    rollups.roll_up(end)
    rollups.roll_up(end + timedelta(minutes=5))
    rollups.rebuild({T.replace(minute=0) + i * HOUR for i in range(11)})
    assert (stored(HourlyRollup), stored(DailyRollup)) == before


def test_an_open_row_is_in_none_until_it_ends_however_late(served: Any) -> None:
    row = factories.request(T, None, served, state="open", finished_at=None, lease_until=T + HOUR)
    factories.request(T, None, served)
    rollups.roll_up(T + HOUR)
    assert sums(HourlyRollup)["requests"] == 1
    for hours in (2, 30, 60):
        rollups.roll_up(T + hours * HOUR)
    assert sums(HourlyRollup)["requests"] == 1
    RequestLog.objects.filter(pk=row.pk).update(state="orphaned", finished_at=T + 61 * HOUR, lease_until=None, cost_nusd=7)
    rollups.roll_up(T + 62 * HOUR)
    for model in (HourlyRollup, DailyRollup):
        assert (sums(model)["requests"], sums(model)["orphaned"]) == (2, 1)
    assert RollupState.objects.get().pending == []


def test_a_row_committed_shortly_after_its_hour_was_rolled_up_is_not_lost(served: Any) -> None:
    factories.request(T, None, served)
    rollups.roll_up(datetime(2026, 11, 18, 11, 0, 1, tzinfo=UTC))
    factories.request(datetime(2026, 11, 18, 10, 59, 59, tzinfo=UTC), None, served)
    rollups.roll_up(datetime(2026, 11, 18, 11, 5, 1, tzinfo=UTC))
    assert sums(HourlyRollup)["requests"] == sums(DailyRollup)["requests"] == 2


def test_an_older_run_gives_way_to_a_newer_one(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.request(T, None, served)
    original = rollups.read
    began = False

    def overtaken(*when: Any) -> Any:
        nonlocal began
        found = original(*when)
        if not began:  # while the first run holds what it read, a row ends and a second run does everything
            began = True
            factories.request(T, None, served)
            rollups.roll_up(T + HOUR)
        return found

    monkeypatch.setattr(rollups, "read", overtaken)
    assert rollups.roll_up(T + HOUR) == {"hours": 0, "days": 0}
    assert sums(HourlyRollup)["requests"] == sums(DailyRollup)["requests"] == 2


@pytest.mark.slow
def test_any_order_of_ends_and_runs_ends_with_the_figures_of_the_log(served: Any) -> None:
    rng = random.Random(20261122)
    key = factories.client_key()
    now = T
    waiting: list[tuple[datetime, RequestLog]] = []
    for _ in range(150):
        now += timedelta(minutes=rng.randrange(1, 25))
        row = factories.request(now, key, served, state="open", finished_at=None, lease_until=now + HOUR, cost_nusd=None)
        waiting.append((now + timedelta(minutes=rng.choice([0, 1, 5, 90, 600])), row))
        for due, done in [entry for entry in waiting if entry[0] <= now]:
            RequestLog.objects.filter(pk=done.pk).update(state="ok", finished_at=due, lease_until=None, cost_nusd=rng.randrange(1000))
            waiting.remove((due, done))
        if rng.random() < 0.3:
            rollups.roll_up(now)
    rollups.roll_up(now)
    finished = RequestLog.objects.exclude(state="open")
    for model in (HourlyRollup, DailyRollup):
        assert sums(model)["requests"] == finished.count()
        assert sums(model)["cost_nusd"] == sum(finished.values_list("cost_nusd", flat=True))
