"""Reports equal hand-summed rows: whatever part of the range is rolled up, and wherever it begins and ends."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics import queries, rollups
from analytics.histogram import of
from analytics.measures import Measures
from analytics.models import RollupState
from analytics.performance import performance_comparison, performance_metrics
from analytics.queries import Filters
from llm_gateway.models import RequestLog
from tests.analytics import factories
from tests.analytics.oracle import add_request

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 10, 0, 0, tzinfo=UTC)
END = START + timedelta(days=4)


def month(seed: int = 3) -> None:
    rng = random.Random(seed)
    acme, beta = factories.provider("acme"), factories.provider("beta")
    models = [factories.model("a1", acme), factories.model("a2", acme), factories.model("b1", beta), None]
    keys = [factories.client_key("one"), factories.client_key("two", factories.team("Other")), None]
    states = ["ok"] * 6 + ["failed", "partial", "client_cancelled", "rejected", "orphaned", "open"]
    for _ in range(400):
        at = START + timedelta(seconds=rng.randrange(int((END - START).total_seconds())))
        state = rng.choice(states)
        more: dict[str, Any] = {"finished_at": None, "lease_until": at} if state == "open" else {}
        factories.request(
            at, rng.choice(keys), rng.choice(models), state=state, cost_nusd=rng.choice([None, rng.randrange(10**9)]),
            simulated=rng.random() < 0.2, latency_ms=rng.randrange(1, 60_000), tag=rng.choice(["", "x"]),
            usage_source=rng.choice(["reported", "estimated"]), input_tokens=rng.choice([None, 100, 40_000, 130_000, 300_000]),
            ttft_ms=rng.choice([None, rng.randrange(90_000)]), **more,
        )  # fmt: skip


def by_hand(group_by: tuple[str, ...], start: datetime, end: datetime, filters: Filters) -> dict[tuple[Any, ...], Measures]:
    """The same from model instances, one at a time."""
    cells: dict[tuple[Any, ...], Measures] = {}
    for row in RequestLog.objects.select_related("model").filter(created_at__gte=start, created_at__lt=end).exclude(state="open"):
        values = {
            "day": row.created_at.date(),
            "hour": row.created_at.replace(minute=0, second=0, microsecond=0),
            "team_id": row.team_id,
            "client_key_id": row.client_key_id or 0,
            "provider": row.provider_slug,
            "model": row.model.name if row.model else row.served_model,
            "strategy": row.strategy,
            "tag": row.tag,
            "kind": row.kind,
            "simulated": row.simulated,
        }
        if all(values[name] == wanted for name, wanted in filters.given().items()):
            add_request(cells.setdefault(tuple(values[name] for name in group_by), Measures()), row.__dict__)
    return cells


def figures(cells: dict[tuple[Any, ...], Measures], times: bool) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {}
    for key, cell in cells.items():
        columns = cell.columns()
        if not times:
            del columns["latency_histogram"], columns["ttft_histogram"], columns["bands"]
        found[key] = {name: pytest.approx(value) if isinstance(value, float) else value for name, value in columns.items()}
    return found


GROUPS: list[tuple[str, ...]] = [
    (),
    ("day",),
    ("hour", "provider"),
    ("day", "model", "provider", "client_key_id"),
    ("team_id", "simulated"),
    ("kind", "strategy", "tag"),
]


@pytest.mark.parametrize(
    "rolled",
    [
        pytest.param(None, id="nothing"),
        pytest.param(START + timedelta(hours=30.4), id="a part", marks=pytest.mark.slow),
        pytest.param(END + timedelta(hours=1), id="everything", marks=pytest.mark.slow),
    ],
)
def test_any_range_grouping_and_filter_equals_the_log_summed_by_hand(rolled: datetime | None) -> None:
    month()
    if rolled:
        rollups.roll_up(rolled)
    acme = [
        Filters(),
        Filters(provider="acme"),
        Filters(client_key_id=0),
        Filters(model="a1", simulated=False),
        Filters(team_id=-1),
        Filters(tag="x"),
    ]
    rng = random.Random(9)
    ranges = [
        (START, END),
        (START + timedelta(minutes=17), END - timedelta(hours=5, minutes=3)),
        (START + timedelta(days=1), START + timedelta(days=2)),
    ]
    ranges += [(at := START + timedelta(minutes=rng.randrange(5000)), at + timedelta(minutes=rng.randrange(1, 700))) for _ in range(3)]
    for start, end in ranges:
        for group_by in GROUPS:
            filters = rng.choice(acme)
            times = rng.random() < 0.5
            found = queries.spend(group_by, start, end, filters, times=times, bands=times)
            expected = by_hand(group_by, start, end, filters)
            assert figures(found, times) == figures(expected, times), (start, end, group_by, filters)


def test_a_report_on_what_is_rolled_up_reads_no_log() -> None:
    month()
    rollups.roll_up(END + timedelta(hours=1))
    pending = RequestLog.objects.filter(state="open").count()
    assert pending
    RequestLog.objects.filter(state="open").update(state="ok", finished_at=END, lease_until=None)
    rollups.roll_up(END + timedelta(hours=2))
    with CaptureQueriesContext(connection) as found:
        queries.spend(("day", "model"), START, END)
    assert not [q for q in found.captured_queries if "requestlog" in q["sql"]]
    assert [q for q in found.captured_queries if "dailyrollup" in q["sql"]]


def test_rollups_survive_the_purge_of_the_log() -> None:
    month()
    RequestLog.objects.filter(state="open").delete()
    rollups.roll_up(END + timedelta(hours=1))
    before = queries.totals(START, END, Filters(model="a1")).columns()
    RequestLog.objects.all().delete()
    factories.request(END + timedelta(hours=3), None, None)
    rollups.roll_up(END + timedelta(hours=4))
    after = queries.totals(START, END, Filters(model="a1")).columns()
    assert after == before
    assert before["requests"] > 0


def test_grouping_by_something_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot group by password"):
        queries.spend(("password",), START, END)


def test_performance_leaves_out_of_the_rate_what_proves_nothing() -> None:
    served = factories.model("a1", factories.provider())
    for state, count in (("ok", 8), ("failed", 1), ("partial", 1), ("rejected", 5), ("client_cancelled", 3)):
        for _ in range(count):
            factories.request(START, None, served, state=state, latency_ms=100 if state == "ok" else 1)
    found = performance_metrics(START, END)
    assert (found.requests, found.answered, found.successes, found.failures) == (18, 10, 8, 2)
    assert (found.success_rate, found.latency_avg_ms) == (0.8, 100)
    assert found.latency_p50_ms == pytest.approx(100, rel=0.05)


def test_nothing_known_is_none_and_never_zero() -> None:
    found = performance_metrics(START, END)
    assert (found.requests, found.cost_nusd) == (0, 0)
    assert [found.success_rate, found.latency_avg_ms, found.latency_p99_ms, found.ttft_p50_ms] == [None] * 4
    factories.request(START, None, factories.model("a1", factories.provider()), cost_nusd=None)
    found = performance_metrics(START, END)
    assert (found.cost_nusd, found.cost_usd, found.unknown_cost_requests) == (None, None, 1)


def test_models_are_compared_most_used_first_with_intervals() -> None:
    acme = factories.provider()
    one, two = factories.model("one", acme), factories.model("two", acme)
    for latency in (100, 200, 300):
        factories.request(START, None, one, latency_ms=latency, cost_nusd=300)
    factories.request(START, None, two, cost_nusd=None)
    factories.request(START, None, None, state="rejected")
    first, second = performance_comparison(START, END)
    assert (first.model, second.model) == ("one", "two")
    assert first.success_rate_interval is not None
    assert (round(first.success_rate_interval.low, 4), first.success_rate_interval.high) == (0.4385, 1.0)
    assert first.latency_avg_interval is not None
    assert first.latency_avg_interval.low == pytest.approx(200 - 1.95996 * 100 / 3**0.5, abs=0.01)
    assert (first.cost_per_request_usd, second.cost_per_request_usd) == (Decimal("3E-7"), None)
    assert second.latency_avg_interval is None


def test_a_page_reads_the_last_minutes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine that stands still for longer than they are kept would read them again.
    monkeypatch.setattr(queries, "TAIL_FRESH_S", 600)
    now = timezone.now()
    served = factories.model("a1", factories.provider())
    factories.request(now - timedelta(hours=30), None, served, cost_nusd=1)
    rollups.roll_up(now)
    key = factories.client_key()
    factories.request(now - timedelta(seconds=2), key, served, cost_nusd=10)
    factories.request(now - timedelta(seconds=1), None, None, cost_nusd=100, provider_slug="beta")
    start, end = now - timedelta(days=3), now + timedelta(days=1)
    with CaptureQueriesContext(connection) as found:
        assert queries.totals(start, end).cost_nusd == 111
        assert queries.totals(queries.floor_hour(now) - timedelta(hours=23), now + timedelta(seconds=1)).cost_nusd == 110
        assert {k: c.cost_nusd for k, c in queries.spend(("provider",), start, end).items()} == {("acme",): 11, ("beta",): 100}
        assert queries.totals(start, end, Filters(client_key_id=key.pk)).cost_nusd == 10
        assert queries.totals(start, end, Filters(client_key_id=0, provider="beta"), times=True).latency == of(72)
    sums = [q["sql"] for q in found.captured_queries if 'SUM("llm_gateway_requestlog"."attempt_count")' in q["sql"]]
    since = f"""created_at" >= '{RollupState.objects.get().until:%Y-%m-%d %H:%M:%S}"""
    assert len([sql for sql in sums if since in sql]) == 1, (since, sums)


def test_the_log_is_never_asked_for_everything_since_a_moment() -> None:
    """A range without an end is a third of the table to a database that has not analysed it yet: 0.4 s at a million rows, not 4 ms."""
    now = timezone.now()
    factories.request(now - timedelta(minutes=5), None, factories.catalogue()["models"]["kimi-k3"])
    rollups.roll_up()
    with CaptureQueriesContext(connection) as ran:
        assert queries.totals(now - timedelta(days=90), now + timedelta(days=1), times=True).requests == 1
    asked = [one["sql"] for one in ran.captured_queries if '"llm_gateway_requestlog"."created_at" >=' in one["sql"]]
    assert len(asked) >= 3
    assert all('"llm_gateway_requestlog"."created_at" <' in sql for sql in asked)
