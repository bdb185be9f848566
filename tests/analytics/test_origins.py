"""Batches beside live requests: apart where somebody asks, together where not, the same from log and rollups."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone

from analytics import queries, rollups
from analytics.models import HourlyRollup, RollupState
from analytics.queries import Filters
from llm_gateway.models import RequestLog
from tests.admin.conftest import signed_in

from . import factories

pytestmark = pytest.mark.django_db
URL = "/admin/reports"


@pytest.fixture
def long_ago(db: None) -> datetime:
    """One request of before origins were kept, one live, two of a batch (one failed), yesterday; and a correction of one of them."""
    at = (timezone.now() - timedelta(days=1)).replace(minute=5)
    found = factories.catalogue()
    key, model = factories.client_key("k"), found["models"]["kimi-k3"]
    factories.request(at, key, model)
    factories.request(at, key, model, origin="live", latency_ms=100)
    row = factories.request(at, key, model, origin="batch", batch_id=factories.uuid7(1, b"0123456789"), latency_ms=9000)
    factories.request(at, key, model, origin="batch", batch_id=row.batch_id, state="failed", cost_nusd=None, attempt_count=0)
    factories.correction(row, -50_000, at)
    return at


def figures(at: datetime, **filters: Any) -> dict[str, tuple[int, int, int, int]]:
    cells = queries.spend(("origin",), at - timedelta(hours=3), at + timedelta(hours=3), Filters(**filters))
    return {key[0]: (one.requests, one.ok, one.cost_nusd, one.adjustments_nusd) for key, one in cells.items()}


def test_log_and_rollups_know_the_same_origins(long_ago: datetime) -> None:
    expected = {"live": (2, 2, 400_000, 0), "batch": (2, 1, 200_000, -50_000)}
    assert figures(long_ago) == expected
    rollups.roll_up()
    assert HourlyRollup.objects.filter(origin="batch").exists()
    for _ in range(2):
        assert figures(long_ago) == expected
        for origin, told in expected.items():
            assert figures(long_ago, origin=origin) == {origin: told}
        assert figures(long_ago, origin="judge") == {}
        RollupState.objects.all().delete()  # now all of it is read from the log
        HourlyRollup.objects.all().delete()


def lines(client: Client, report: str, query: str) -> Iterator[list[str]]:
    text = b"".join(client.get(f"{URL}/{report}/?format=csv&{query}").streaming_content).decode()  # type: ignore[arg-type]
    return ([cell.strip('"') for cell in line.split(",")] for line in text.splitlines())


def test_reports_group_and_filter_by_origin_on_the_page_and_in_files(long_ago: datetime) -> None:
    client = signed_in("auditor")
    head, *rows = lines(client, "cost", "by=origin")
    assert [(row[0], row[head.index("Requests")]) for row in rows] == [("live", "2"), ("batch", "2"), ("Total", "4")]
    head, *rows = lines(client, "cost", "by=model&origin=batch")
    assert [row[head.index("Requests")] for row in rows] == ["2", "2"]
    head, *rows = lines(client, "performance", "by=origin")
    assert [(row[0], row[head.index("Requests")]) for row in rows] == [("batch", "2"), ("live", "2")]
    head, row = lines(client, "performance", "")
    assert ("Origin" in head, row[head.index("Requests")]) == (False, "4")
    head, row = lines(client, "performance", "origin=live")
    assert row[head.index("Requests")] == "2"
    for report in ("cost", "savings", "performance"):
        page = client.get(f"{URL}/{report}/?by=origin&origin=batch")
        assert page.status_code == 200
        assert '<option value="batch" selected>' in page.content.decode()
    for origin, count in (("live", 2), ("batch", 2), ("nonsense", 4)):
        shown = client.get(f"/admin/llm_gateway/requestlog/?origin={origin}")
        assert shown.status_code == 200
        assert shown.content.decode().count("field-state_badge") == count, origin


def test_what_was_rolled_up_before_is_rolled_up_anew(long_ago: datetime) -> None:
    rollups.roll_up()
    HourlyRollup.objects.update(origin="live")
    migration = importlib.import_module("analytics.migrations.0056_origins")
    RequestLog.objects.filter(origin="batch").update(created_at=long_ago - timedelta(hours=2))
    migration.from_the_first_batch_on(apps, None)
    hour = rollups.floor_hour(long_ago - timedelta(hours=1))
    assert RollupState.objects.get().until == hour.astimezone(UTC)
    rollups.roll_up()
    RequestLog.objects.filter(origin="batch").delete()
    before = RollupState.objects.get().until
    migration.from_the_first_batch_on(apps, None)
    assert RollupState.objects.get().until == before
