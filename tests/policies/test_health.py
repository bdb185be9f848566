"""The "Key / deployment state" column of the fault matrix (reliability.md B1, B2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from llm_gateway.core.errors import Failure, FailureClass
from llm_gateway.policies.health import Effect, effect

F = FailureClass
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def of(kind: FailureClass, consecutive: int = 0, draw: float = 0.5, **failure: Any) -> Effect:
    return effect(Failure(kind=kind, **failure), NOW, consecutive, draw)


def seconds(found: Effect) -> float | None:
    return None if found.until is None else (found.until - NOW).total_seconds()


# (row, kind, fields, scope, what, seconds, alarm)
STATE: list[tuple[str, FailureClass, dict[str, Any], str, str, float | None, bool]] = [
    ("U1", F.CONNECT_REFUSED, {}, "deployment", "failure", None, False),
    ("U2", F.DNS, {}, "endpoint", "failure", None, False),
    ("U3", F.TLS, {}, "deployment", "suspend", 300, True),
    ("U4", F.CONNECT_TIMEOUT, {}, "deployment", "failure", None, False),
    ("U5", F.TTFB_TIMEOUT, {}, "deployment", "failure", None, False),
    ("U6", F.STALE_CONNECTION, {}, "none", "none", None, False),
    ("U7", F.BAD_REQUEST, {"status": 400}, "none", "none", None, False),
    ("U8", F.AUTH, {"status": 401}, "key", "disable", None, True),
    ("U9", F.FORBIDDEN, {"status": 403}, "deployment", "disable", 3600, True),
    ("U9 billing", F.QUOTA, {"status": 402}, "key", "cooldown", 600, True),
    ("U10", F.MODEL_GONE, {"status": 404}, "deployment", "suspend", 900, False),
    ("U11", F.TIMEOUT, {"status": 408}, "deployment", "failure", None, False),
    ("U12", F.CONFLICT, {"status": 409}, "none", "none", None, False),
    ("U13 body", F.TOO_LARGE, {"status": 413}, "none", "none", None, False),
    ("U13 window", F.CONTEXT_LENGTH, {"status": 400}, "none", "none", None, False),
    ("U14", F.UNSUPPORTED_PARAMETER, {"status": 422}, "none", "none", None, False),
    ("U15", F.RATE_LIMITED, {"status": 429, "retry_after_s": 7.5}, "deployment", "cooldown", 7.5, False),
    ("U15 past date", F.RATE_LIMITED, {"status": 429, "retry_after_s": 0.0}, "deployment", "cooldown", 0.25, False),
    ("U15 a year", F.RATE_LIMITED, {"status": 429, "retry_after_s": 3e7}, "deployment", "cooldown", 600, False),
    ("U16", F.RATE_LIMITED, {"status": 429}, "deployment", "cooldown", 0.5, False),
    ("U17", F.QUOTA, {"status": 429}, "key", "cooldown", 600, True),
    ("U18", F.SERVER_ERROR, {"status": 500}, "deployment", "failure", None, False),
    ("U19 told", F.OVERLOADED, {"status": 503, "retry_after_s": 20.0}, "deployment", "cooldown", 20, False),
    ("U19", F.OVERLOADED, {"status": 503}, "deployment", "cooldown", 0.5, False),
    ("U20", F.OVERLOADED, {"status": 529}, "deployment", "cooldown", 2, False),
    ("U20 told", F.OVERLOADED, {"status": 529, "retry_after_s": 4.0}, "deployment", "cooldown", 4, False),
    ("U21", F.ERROR_IN_200, {}, "deployment", "failure", None, False),
    ("U22", F.CONTENT_FILTER, {}, "none", "none", None, False),
    ("U24", F.BAD_CONTENT_TYPE, {}, "deployment", "failure", None, False),
    ("U25", F.BAD_JSON, {}, "deployment", "failure", None, False),
    ("U26", F.REDIRECT, {}, "deployment", "suspend", 300, True),
    ("U27", F.TOO_LARGE_RESPONSE, {}, "deployment", "failure", None, True),
    ("U28", F.PROTOCOL, {}, "deployment", "failure", None, False),
    ("U30", F.IDLE_TIMEOUT, {}, "deployment", "failure", None, False),
    ("U31", F.RESET, {}, "deployment", "failure", None, False),
    ("U32", F.TRUNCATED, {}, "deployment", "failure", None, False),
    ("U33", F.NO_TERMINAL, {}, "deployment", "failure", None, False),
    ("U34", F.BAD_EVENT, {}, "deployment", "failure", None, False),
    ("U36", F.EVENT_TOO_LARGE, {}, "deployment", "failure", None, True),
    ("U37 drip", F.SLOW_DRIP, {}, "deployment", "failure", None, False),
    ("U37 total", F.TOTAL_TIMEOUT, {}, "deployment", "failure", None, False),
    ("C23", F.DEADLINE, {}, "none", "none", None, False),
    ("A22", F.CONFIG, {}, "none", "none", None, True),
]


@pytest.mark.parametrize(("row", "kind", "fields", "scope", "what", "until", "alarm"), STATE, ids=[row[0] for row in STATE])
def test_the_state_column_holds(
    row: str, kind: FailureClass, fields: dict[str, Any], scope: str, what: str, until: float | None, alarm: bool
) -> None:
    found = of(kind, **fields)
    assert (found.scope, found.kind, seconds(found), found.alarm) == (scope, what, until, alarm)
    assert found.reason


def test_every_class_has_a_row() -> None:
    assert {row[1] for row in STATE} == set(FailureClass)


@pytest.mark.parametrize("kind", [F.BAD_REQUEST, F.UNSUPPORTED_PARAMETER, F.CONTEXT_LENGTH, F.TOO_LARGE, F.CONTENT_FILTER, F.CONFLICT])
def test_a_callers_own_fault_never_cools_anything(kind: FailureClass) -> None:
    assert of(kind, consecutive=50, retry_after_s=60.0).scope == "none"


@pytest.mark.parametrize(("consecutive", "draw", "wanted"), [(0, 0.0, 0.25), (0, 0.999, 0.999), (3, 0.5, 4), (6, 0.5, 30), (40, 1, 60)])
def test_a_rate_limit_without_a_time_doubles_with_full_jitter_up_to_a_minute(consecutive: int, draw: float, wanted: float) -> None:
    assert seconds(of(F.RATE_LIMITED, consecutive, draw, status=429)) == pytest.approx(wanted)


@pytest.mark.parametrize(("consecutive", "wanted"), [(0, 2), (1, 4), (2, 8), (4, 32), (5, 60), (1000, 60)])
def test_an_overload_doubles_from_two_seconds_up_to_a_minute(consecutive: int, wanted: float) -> None:
    assert seconds(of(F.OVERLOADED, consecutive, status=529)) == wanted
