"""Periods that begin at an hour, a weekday or a day of the month of their own."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from llm_gateway.policies.periods import MIDNIGHT, Reset, period_bounds, period_id, shown


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# period, zone, reset, now, start and end in UTC, name
CASES = [
    ("day", "UTC", Reset(hour=6), "2026-11-22T05:59:59", "2026-11-21T06:00", "2026-11-22T06:00", "d20261121T06"),
    ("day", "UTC", Reset(hour=6), "2026-11-22T06:00", "2026-11-22T06:00", "2026-11-23T06:00", "d20261122T06"),
    ("day", "Europe/Berlin", Reset(hour=9), "2026-07-01T06:59", "2026-06-30T07:00", "2026-07-01T07:00", "d20260630T09"),
    # Clocks go forward on 29 March at 2: the hour does not exist, the day begins with the change.
    ("day", "Europe/Berlin", Reset(hour=2), "2026-03-29T01:00", "2026-03-29T01:00", "2026-03-30T00:00", "d20260329T02"),
    ("day", "Europe/Berlin", Reset(hour=2), "2026-03-29T00:59:59", "2026-03-28T01:00", "2026-03-29T01:00", "d20260328T02"),
    # Clocks go back on 25 October at 3: the hour comes twice, the day begins with its first.
    ("day", "Europe/Berlin", Reset(hour=2), "2026-10-25T00:00", "2026-10-25T00:00", "2026-10-26T01:00", "d20261025T02"),
    ("day", "Europe/Berlin", Reset(hour=2), "2026-10-25T01:30", "2026-10-25T00:00", "2026-10-26T01:00", "d20261025T02"),
    ("week", "UTC", Reset(weekday=4), "2026-11-25T23:59", "2026-11-19T00:00", "2026-11-26T00:00", "w20261119T00"),
    ("week", "UTC", Reset(weekday=7, hour=18), "2026-11-22T17:59", "2026-11-15T18:00", "2026-11-22T18:00", "w20261115T18"),
    ("month", "UTC", Reset(monthday=15), "2026-11-14T12:00", "2026-10-15T00:00", "2026-11-15T00:00", "m20261015T00"),
    ("month", "UTC", Reset(monthday=31), "2026-02-28T00:00", "2026-02-28T00:00", "2026-03-31T00:00", "m20260228T00"),
    ("month", "UTC", Reset(monthday=31), "2026-03-30T23:00", "2026-02-28T00:00", "2026-03-31T00:00", "m20260228T00"),
    ("month", "UTC", Reset(monthday=1, hour=1), "2027-01-01T00:30", "2026-12-01T01:00", "2027-01-01T01:00", "m20261201T01"),
    ("month", "Nowhere/Land", Reset(monthday=29), "2028-02-29T00:00", "2028-02-29T00:00", "2028-03-29T00:00", "m20280229T00"),
]


@pytest.mark.parametrize(("period", "zone", "reset", "now", "start", "end", "name"), CASES)
def test_a_period_begins_where_its_budget_says(period: str, zone: str, reset: Reset, now: str, start: str, end: str, name: str) -> None:
    assert period_bounds(period, zone, at(now), reset) == (at(start), at(end))
    assert period_id(period, zone, at(now), reset) == name


@pytest.mark.parametrize("period", ["day", "week", "month"])
@pytest.mark.parametrize("seed", range(40))
def test_periods_follow_each_other_without_gap_or_overlap(period: str, seed: int) -> None:
    draw = random.Random(seed)
    now = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(6 * 365 * 86_400))
    reset = Reset(hour=draw.randrange(24), weekday=draw.randint(1, 7), monthday=draw.randint(1, 31))
    for zone in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"):
        start, end = period_bounds(period, zone, now, reset)
        assert start is not None
        assert end is not None
        assert start <= now < end
        assert len({period_id(period, zone, moment, reset) for moment in (start, now, end - timedelta(microseconds=1))}) == 1
        assert period_id(period, zone, end, reset) != period_id(period, zone, now, reset)
        assert period_bounds(period, zone, end, reset)[0] == end
        assert len(period_id(period, zone, now, reset)) <= 12


@pytest.mark.parametrize("reset", [MIDNIGHT, Reset(weekday=5, monthday=9)])
def test_what_does_not_concern_a_period_changes_nothing(reset: Reset) -> None:
    now = at("2026-11-22T12:00")
    assert period_id("day", "UTC", now, reset) == "2026-11-22"
    assert period_id("total", "UTC", now, Reset(hour=5)) == "total"
    assert period_bounds("total", "UTC", now, Reset(hour=5)) == (None, None)


def test_a_name_is_shown_to_people() -> None:
    assert [shown(name) for name in ("w20261119T06", "2026-11", "", "total")] == ["week from 2026-11-19 06:00", "2026-11", "total", "total"]
