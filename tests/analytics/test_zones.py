"""Days of the reader's own place: every request is in exactly one of them, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.http import QueryDict
from django.test import Client

from analytics import asking, days, queries, rollups
from analytics.reports import reports
from llm_gateway.models import RequestLog
from tests.admin.conftest import signed_in
from tests.analytics import factories

ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Auckland", "America/St_Johns")


@pytest.mark.parametrize("zone", ZONES)
def test_days_follow_each_other_without_a_gap_or_a_double_hour(zone: str) -> None:
    day, hour, seen = date(2026, 3, 1), days.begins(date(2026, 3, 1), zone), []
    while hour < days.begins(date(2026, 12, 1), zone):
        seen.append(days.of_hour(hour, zone))
        hour += timedelta(hours=1)
    assert seen == sorted(seen)
    while day < date(2026, 12, 1):
        begins, ends = days.begins(day, zone), days.begins(day + timedelta(days=1), zone)
        assert seen.count(day) == (ends - begins) / timedelta(hours=1), day
        assert days.of_moment(begins, zone) == day
        assert timedelta(0) <= datetime.combine(day, datetime.min.time(), ZoneInfo(zone)) - begins < timedelta(hours=1)
        day += timedelta(days=1)


@pytest.mark.django_db
@pytest.mark.parametrize(("zone", "rolled"), [("Europe/Berlin", True), ("Asia/Kolkata", True), ("America/Los_Angeles", False)])
def test_a_report_by_day_counts_as_the_log_does(zone: str, rolled: bool) -> None:
    acme = factories.model("acme-1", factories.provider())
    key = factories.client_key()
    # Around the end of summer time, every 47 minutes.
    first = datetime(2026, 10, 24, tzinfo=UTC)
    for n in range(90):
        factories.request(first + timedelta(minutes=47 * n), key, acme, cost_nusd=n + 1)
    now = datetime(2026, 10, 27, 12, tzinfo=UTC)
    if rolled:
        rollups.roll_up(now)
    expected: dict[date, int] = {}
    for at, cost in RequestLog.objects.values_list("created_at", "cost_nusd"):
        day = days.of_moment(at, zone)
        expected[day] = expected.get(day, 0) + cost
    asked = asking.read(reports.get("cost"), QueryDict(f"from=2026-10-23&to=2026-10-27&zone={zone}&by=day"), now).asked
    cells = queries.spend(("day",), asked.start, asked.end, zone=zone)
    assert {day: cell.cost_nusd for (day,), cell in cells.items()} == expected
    sheet = reports.get("cost").build(asked)
    rows = [(row[0].key, row[5]) for row in sheet.rows]
    assert rows == sorted(expected.items(), reverse=True)
    assert sheet.chart is not None
    assert sum(value or 0 for series in sheet.chart.series for value in series.values) == pytest.approx(sum(expected.values()) / 1e9)


@pytest.mark.parametrize(
    ("preset", "zone", "first", "last"),
    [
        ("today", "UTC", "2026-11-18", "2026-11-18"),
        ("today", "Asia/Tokyo", "2026-11-19", "2026-11-19"),
        ("yesterday", "America/Los_Angeles", "2026-11-17", "2026-11-17"),
        ("week", "UTC", "2026-11-16", "2026-11-18"),
        ("month", "Asia/Tokyo", "2026-11-01", "2026-11-19"),
        ("today", "Mars/Olympus", "2026-11-18", "2026-11-18"),
    ],
)
def test_today_is_the_readers_own(preset: str, zone: str, first: str, last: str) -> None:
    found = asking.read(reports.get("cost"), QueryDict(f"range={preset}&zone={zone}"), datetime(2026, 11, 18, 20, tzinfo=UTC))
    assert (str(found.first_day), str(found.last_day)) == (first, last)
    assert bool(found.problems) == (zone == "Mars/Olympus")


@pytest.mark.django_db
@time_machine.travel(datetime(2026, 11, 18, 23, 30, tzinfo=UTC), tick=False)
def test_the_page_has_the_readers_day_and_leads_to_its_requests() -> None:
    found = factories.catalogue()
    late = factories.request(datetime(2026, 11, 18, 23, 10, tzinfo=UTC), factories.client_key(), found["models"]["kimi-k3"])
    early = factories.request(datetime(2026, 11, 18, 20, tzinfo=UTC), factories.client_key("b"), found["models"]["kimi-k3"])
    reader: Client = signed_in("viewer")
    page: Any = reader.get("/admin/reports/cost/?range=today&zone=Europe/Berlin&by=day")
    html = page.content.decode()
    assert page.context_data["first_day"] == "2026-11-19"
    assert "Europe/Berlin" in html
    href = html.split('href="/admin/llm_gateway/requestlog/?')[1].split('"')[0].replace("&amp;", "&")
    assert href == "day=2026-11-19%40Europe%2FBerlin"
    listed = reader.get(f"/admin/llm_gateway/requestlog/?{href}").content.decode()
    assert (str(late.pk) in listed, str(early.pk) in listed) == (True, False)
    for nonsense in ("2026-11-19@Mars", "@", "2026-11-19@" + "x" * 300, "..@UTC", "2026-13-40@UTC"):
        assert reader.get("/admin/llm_gateway/requestlog/", {"day": nonsense}).status_code == 200
