"""The "Next" column of the fault matrix (reliability.md B1), row by row, and the Retry-After table (T11)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.errors import Failure, FailureClass
from llm_gateway.policies import retry
from llm_gateway.policies.retry import RetryBudget, Step

F = FailureClass


def after(kind: FailureClass, *, failure: dict[str, Any] | None = None, **given: Any) -> Step:
    facts: dict[str, Any] = {
        "attempts": 1,
        "same_target_tries": 1,
        "others_left": True,
        "remaining_s": 60.0,
        "content_sent": False,
        "draw": 0.5,
        "budget_allows": True,
        "first_event_s": 20.0,
    }
    return retry.after(Failure(kind=kind, **(failure or {})), **{**facts, **given})


# (row, kind, further fields of the failure, with another candidate, alone)
NEXT = [
    ("U1", F.CONNECT_REFUSED, {}, "next any", "stop"),
    ("U2", F.DNS, {}, "next other_host", "stop"),
    ("U3", F.TLS, {}, "next any", "stop"),
    ("U4", F.CONNECT_TIMEOUT, {}, "next any", "stop"),
    ("U5", F.TTFB_TIMEOUT, {}, "next any", "stop"),
    ("U6", F.STALE_CONNECTION, {}, "same any", "same any"),
    ("U7", F.BAD_REQUEST, {"status": 400}, "stop", "stop"),
    ("U8", F.AUTH, {"status": 401}, "next other_key", "stop"),
    ("U9", F.FORBIDDEN, {"status": 403}, "next any", "stop"),
    ("U9 billing", F.QUOTA, {"status": 402}, "next other_key", "stop"),
    ("U10", F.MODEL_GONE, {"status": 404}, "next any", "stop"),
    ("U11", F.TIMEOUT, {"status": 408}, "next any", "stop"),
    ("U12", F.CONFLICT, {"status": 409}, "same any", "same any"),
    ("U13 body", F.TOO_LARGE, {"status": 413}, "next larger_window", "stop"),
    ("U13 window", F.CONTEXT_LENGTH, {"status": 400}, "next larger_window", "stop"),
    ("U14", F.UNSUPPORTED_PARAMETER, {"status": 422}, "stop", "stop"),
    ("U15 short", F.RATE_LIMITED, {"status": 429, "retry_after_s": 1.5}, "next any", "same any"),
    ("U15 long", F.RATE_LIMITED, {"status": 429, "retry_after_s": 2.1}, "next any", "stop"),
    ("U16", F.RATE_LIMITED, {"status": 429}, "next any", "stop"),
    ("U17", F.QUOTA, {"status": 429}, "next other_key", "stop"),
    ("U18", F.SERVER_ERROR, {"status": 500}, "next any", "same any"),
    ("U19", F.OVERLOADED, {"status": 503}, "next any", "stop"),
    ("U20", F.OVERLOADED, {"status": 529}, "next any", "stop"),
    ("U20 told", F.OVERLOADED, {"status": 529, "should_retry": True}, "next any", "same any"),
    ("U21", F.ERROR_IN_200, {}, "next any", "stop"),
    ("U22", F.CONTENT_FILTER, {}, "stop", "stop"),
    ("U24", F.BAD_CONTENT_TYPE, {"status": 200}, "next any", "stop"),
    ("U25", F.BAD_JSON, {"status": 200}, "next any", "stop"),
    ("U26", F.REDIRECT, {"status": 302}, "next any", "stop"),
    ("U27", F.TOO_LARGE_RESPONSE, {"status": 200}, "next any", "stop"),
    ("U28", F.PROTOCOL, {}, "next any", "stop"),
    ("U30 before content", F.IDLE_TIMEOUT, {}, "next any", "stop"),
    ("U31 before content", F.RESET, {}, "next any", "same any"),
    ("U32 before content", F.TRUNCATED, {}, "next any", "same any"),
    ("U33 before content", F.NO_TERMINAL, {}, "next any", "same any"),
    ("U34 before content", F.BAD_EVENT, {}, "next any", "stop"),
    ("U36 before content", F.EVENT_TOO_LARGE, {}, "next any", "stop"),
    ("U37 before content", F.SLOW_DRIP, {}, "next any", "stop"),
    ("U37 total", F.TOTAL_TIMEOUT, {}, "next any", "stop"),
    ("C23", F.DEADLINE, {}, "stop", "stop"),
    ("A22", F.CONFIG, {}, "next any", "stop"),
]


def shown(step: Step) -> str:
    return step.kind if step.kind == "stop" else f"{step.kind} {step.scope}"


@pytest.mark.parametrize(("row", "kind", "failure", "with_other", "alone"), NEXT, ids=[row[0] for row in NEXT])
def test_the_next_column_holds(row: str, kind: FailureClass, failure: dict[str, Any], with_other: str, alone: str) -> None:
    assert shown(after(kind, failure=failure)) == with_other
    assert retry.reach(kind) == after(kind, failure=failure).scope or with_other == "stop"
    assert shown(after(kind, failure=failure, others_left=False)) == alone


def test_every_class_has_a_row() -> None:
    assert {row[1] for row in NEXT} == set(FailureClass)


@pytest.mark.parametrize("kind", FailureClass)
def test_after_content_there_is_neither_retry_nor_fallback(kind: FailureClass) -> None:
    assert after(kind, content_sent=True, failure={"should_retry": True, "retry_after_s": 0.0}).kind == "stop"


@pytest.mark.parametrize("kind", FailureClass)
def test_the_third_attempt_is_the_last(kind: FailureClass) -> None:
    assert after(kind, attempts=3).kind == "stop"


@pytest.mark.parametrize("kind", FailureClass)
def test_a_passed_deadline_stops_everything(kind: FailureClass) -> None:
    assert after(kind, remaining_s=0.0).kind == "stop"


def test_a_timeout_goes_on_only_with_time_for_another_first_event() -> None:
    assert after(F.TTFB_TIMEOUT, remaining_s=19.9).kind == "stop"
    assert after(F.TTFB_TIMEOUT, remaining_s=20.0).kind == "next"


def test_a_stale_connection_is_retried_once_and_costs_no_retry_budget() -> None:
    assert after(F.STALE_CONNECTION, budget_allows=False) == Step(
        kind="same", delay_s=0.0, why="a pooled connection had been closed; a new one costs nothing"
    )
    assert after(F.STALE_CONNECTION, same_target_tries=2, attempts=2).kind == "next"


def test_every_other_repetition_needs_the_retry_budget() -> None:
    for kind in (F.SERVER_ERROR, F.RESET):
        assert after(kind, others_left=False, budget_allows=False).kind == "stop"
    assert shown(after(F.CONFLICT, budget_allows=False)) == "next any"


def test_one_target_is_repeated_once() -> None:
    assert after(F.SERVER_ERROR, others_left=False, same_target_tries=2, attempts=2).kind == "stop"
    assert after(F.CONFLICT, same_target_tries=2, attempts=2).kind == "next"


def test_the_providers_no_forbids_a_repetition_but_not_a_fallback() -> None:
    for kind in (F.SERVER_ERROR, F.RATE_LIMITED, F.OVERLOADED, F.CONFLICT):
        no = {"should_retry": False, "retry_after_s": 0.5}
        assert after(kind, failure=no, others_left=False).kind == "stop"
        assert after(kind, failure=no).kind == "next"


def test_the_providers_yes_earns_even_a_400_one_repetition() -> None:
    yes = {"should_retry": True}
    assert after(F.BAD_REQUEST, failure=yes).kind == "same"
    assert after(F.BAD_REQUEST, failure=yes, same_target_tries=2, attempts=2).kind == "stop"
    assert after(F.BAD_REQUEST, failure=yes, budget_allows=False).kind == "stop"


def test_a_content_filter_falls_back_only_where_the_operator_said_so() -> None:
    assert shown(after(F.CONTENT_FILTER, content_policy_fallback=True)) == "next other_model"


@pytest.mark.parametrize(
    ("wait", "low", "high"),
    [(None, 0.375, 0.5), (0.0, 0.25, 0.35), (0.1, 0.25, 0.35), (1.0, 1.0, 1.1), (2.0, 2.0, 2.1), (2.01, None, None), (1e9, None, None)],
)
@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_the_wait_before_a_repetition_lies_within_bounds(wait: float | None, low: float | None, high: float, draw: float) -> None:
    step = after(F.SERVER_ERROR, others_left=False, draw=draw, failure={"retry_after_s": wait})
    if low is None:
        assert step.kind == "stop"
    else:
        assert step.kind == "same"
        assert low <= step.delay_s <= high


def test_a_wait_that_outlasts_the_deadline_is_not_begun() -> None:
    assert after(F.RATE_LIMITED, failure={"retry_after_s": 1.0}, others_left=False, remaining_s=1.0).kind == "stop"
    assert after(F.CONFLICT, remaining_s=0.2).kind == "next"


def test_no_wait_before_another_target() -> None:
    assert after(F.RATE_LIMITED, failure={"retry_after_s": 30.0}).delay_s == 0


@pytest.mark.parametrize(("in_flight", "allowed"), [(0, 3), (1, 3), (15, 3), (20, 4), (100, 20)])
def test_the_retry_budget_is_a_fifth_of_what_is_in_flight_and_at_least_three(in_flight: int, allowed: int) -> None:
    assert RetryBudget(in_flight=in_flight, retrying=allowed - 1).allows
    assert not RetryBudget(in_flight=in_flight, retrying=allowed).allows


@given(
    kind=st.sampled_from(FailureClass),
    others=st.lists(st.booleans(), min_size=8, max_size=8),
    draw=st.floats(0, 0.999),
    wait=st.none() | st.floats(0, 5),
    told=st.none() | st.booleans(),
)
def test_no_request_makes_more_than_three_attempts_whatever_happens(
    kind: FailureClass, others: list[bool], draw: float, wait: float | None, told: bool | None
) -> None:
    attempts, tries = 1, 1
    for other in others:
        step = after(
            kind,
            failure={"retry_after_s": wait, "should_retry": told},
            attempts=attempts,
            same_target_tries=tries,
            others_left=other,
            draw=draw,
        )
        if step.kind == "stop":
            break
        attempts += 1
        tries = tries + 1 if step.kind == "same" else 1
    assert attempts <= 3
