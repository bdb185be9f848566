"""What a report page was asked for: its query string, read kindly. Nonsense falls back to the default and is said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from . import days
from .queries import Filters
from .reports import Asked, Report

MOST_DAYS = 800
RANGES = (
    ("today", "today"), ("yesterday", "yesterday"), ("week", "this week"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days"),
    ("month", "this month"), ("last", "last month"),
)  # fmt: skip


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """``asked`` for the report, ``problems`` for the reader, the rest for the form."""

    asked: Asked
    problems: tuple[str, ...] = ()
    preset: str = ""
    first_day: date
    last_day: date


def read(report: Report, query: Any, now: datetime) -> Asking:
    """``query``: a QueryDict."""
    problems: list[str] = []
    zone = query.get("zone", "") or days.UTC_NAME
    if not days.known(zone):
        problems.append("That time zone is not known; the days are those of UTC.")
        zone = days.UTC_NAME
    first, last, preset = _range(query, now.astimezone(ZoneInfo(zone)).date(), problems)
    groups = tuple(name for name in dict.fromkeys(query.getlist("by")) if name in report.groups) or report.default_groups
    groups = tuple(name for name in report.groups if name in groups)
    option = query.get("option", "")
    known = [name for name, _ in report.options()]
    if option and option not in known:
        problems.append("That choice is not known.")
        option = ""
    asked = Asked(
        start=days.begins(first, zone),
        end=days.begins(last + timedelta(days=1), zone),
        zone=zone,
        now=now,
        group_by=groups,
        filters=_filters(query, problems),
        option=option,
    )
    return Asking(asked=asked, problems=tuple(problems), preset=preset, first_day=first, last_day=last)


def _range(query: Mapping[str, Any], today: date, problems: list[str]) -> tuple[date, date, str]:
    preset = query.get("range", "")
    month = today.replace(day=1)
    match preset:
        case "today":
            return today, today, preset
        case "yesterday":
            return today - timedelta(days=1), today - timedelta(days=1), preset
        case "week":
            return today - timedelta(days=today.weekday()), today, preset
        case "7" | "30" | "90":
            return today - timedelta(days=int(preset) - 1), today, preset
        case "month":
            return month, today, preset
        case "last":
            end = month - timedelta(days=1)
            return end.replace(day=1), end, preset
    first, last = _day(query.get("from"), problems), _day(query.get("to"), problems)
    if first is None and last is None:
        return today - timedelta(days=29), today, "30"
    last = last or today
    first = first or last - timedelta(days=29)
    if first > last:
        problems.append("The first day is after the last; they were swapped.")
        first, last = last, first
    if (last - first).days >= MOST_DAYS:
        problems.append(f"At most {MOST_DAYS} days are shown at once.")
        first = last - timedelta(days=MOST_DAYS - 1)
    return first, last, ""


def _day(text: str | None, problems: list[str]) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        problems.append("A day is written like 2026-11-22.")
        return None
    if not 2000 <= found.year <= 2200:
        problems.append("That day is out of range.")
        return None
    return found


def _filters(query: Mapping[str, Any], problems: list[str]) -> Filters:
    given: dict[str, Any] = {}
    for name in ("provider", "model", "strategy", "kind", "tag", "origin"):
        if value := query.get(name, "").replace("\x00", "")[:200]:  # PostgreSQL takes no NUL
            given[name] = value
    for name in ("team_id", "client_key_id"):
        value = query.get(name, "")
        if value.isdecimal() and len(value) < 19:
            given[name] = int(value)
        elif value:
            problems.append("That team or client is not known.")
    match query.get("simulated", ""):
        case "only":
            given["simulated"] = True
        case "without":
            given["simulated"] = False
    return Filters(**given)
