"""Hits in the figures: in what was asked and saved, never in how well providers did."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from analytics import queries, rollups
from analytics.performance import performance_comparison, performance_metrics
from analytics.reports import Asked, reports
from analytics.reports.savings import rates_of, would_cost
from llm_gateway.models import Price
from tests.analytics import factories

pytestmark = pytest.mark.django_db


def test_hits_are_counted_apart_and_leave_success_and_latency_alone() -> None:
    found = factories.catalogue()
    key = factories.client_key()
    model = found["models"]["kimi-k3"]
    now = timezone.now().replace(minute=30, second=0, microsecond=0) - timedelta(hours=3)
    asked = {"asked_model": "fast"}
    for at, number in ((now, 1), (now + timedelta(minutes=1), 2)):
        factories.request(at, key, model, cache="miss", latency_ms=1000 * number, **asked)
    factories.request(now, key, model, cache="bypass", state="failed", **asked)
    hit = {
        "cache": "hit",
        "saved_nusd": 500,
        "cost_nusd": 0,
        "latency_ms": 0,
        "attempt_count": 0,
        "input_tokens": None,
        "output_tokens": None,
    }
    for second in range(7):
        factories.request(now + timedelta(seconds=second), key, model, **hit, **asked)
    start, end = now - timedelta(hours=1), now + timedelta(hours=1)

    def look() -> None:
        metrics = performance_metrics(start, end)
        assert (metrics.requests, metrics.successes, metrics.answered) == (10, 2, 3)
        assert metrics.latency_avg_ms == 1500
        (compared,) = performance_comparison(start, end)
        assert compared.metrics.success_rate == pytest.approx(2 / 3)
        cell = queries.totals(start, end)
        assert (cell.cached, cell.saved_nusd, cell.ok) == (7, 3500, 2)
        would = would_cost(cell, rates_of("kimi-k3"), now)
        assert would is not None

    look()
    assert rollups.roll_up(timezone.now())["hours"]
    look()
    day = start.replace(hour=0, minute=0)
    sheet = reports.get("cache").build(
        Asked(start=day, end=day + timedelta(days=2), now=timezone.now(), group_by=("alias", "client_key_id"))
    )
    assert [row[:2] for row in sheet.rows] == [("fast", key.name)]
    assert next(iter(sheet.rows))[2:] == (9, 7, 2, 1, 7 / 9, 3500)
    assert sheet.totals[2:] == (9, 7, 2, 1, 7 / 9, 3500)


def test_the_providers_own_caches_are_reported_with_what_they_saved_and_cost() -> None:
    found = factories.catalogue()
    key = factories.client_key()
    model = found["models"]["kimi-k3"]
    Price.objects.filter(model=model).update(
        input=Decimal(3), cache_read=Decimal("0.3"), cache_write=Decimal("3.75"), cache_write_1h=Decimal(6)
    )
    now = timezone.now() - timedelta(minutes=5)
    factories.request(now, key, model, input_tokens=1000, cache_read_tokens=0, cache_write_tokens=8000)
    factories.request(now, key, model, input_tokens=1000, cache_read_tokens=8000, cache_write_1h_tokens=2000)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)

    def row(*groups: str) -> tuple[object, ...]:
        asked = Asked(start=day, end=day + timedelta(days=1), now=timezone.now(), group_by=groups)
        (line,) = reports.get("prompt-cache").build(asked).rows
        return tuple(line)[len(groups) :]

    saved, extra = 8000 * 2700, 8000 * 750 + 2000 * 3000
    usual = (20_000, 8_000, 10_000, 0.4, saved, extra, saved - extra)
    assert row("model") == row("strategy") == row("client_key_id", "day") == usual
    Price.objects.filter(model=model).delete()
    assert row("model") == (20_000, 8_000, 10_000, 0.4, None, None, None)
