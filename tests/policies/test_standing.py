"""A provider that fails in a trickle is not healthy, and a caller's own mistakes are not the provider's."""

from __future__ import annotations

import pytest

from llm_gateway.core.errors import FailureClass
from llm_gateway.policies import breaker, health
from llm_gateway.policies.standing import WINDOW_S, Lately, Standing, counts, lately


def test_twelve_failures_a_minute_apart_leave_the_breaker_closed_and_are_failing_all_the_same() -> None:
    state, at = breaker.Breaker(), [60.0 * n for n in range(12)]
    for now in at:
        allowed, state = breaker.admit(state, now)
        assert allowed
        state = breaker.failure(state, now)
    assert state.state is breaker.State.CLOSED
    in_window = [("failed", "server_error", 1) for now in at if at[-1] - now < WINDOW_S]
    assert lately(in_window).standing is Standing.FAILING
    assert lately(in_window).words == "5 of 5 calls failed in the last 5 minutes"


@pytest.mark.parametrize(
    ("calls", "failures", "standing"),
    [
        (0, 0, "quiet"), (1, 1, "healthy"), (2, 2, "healthy"), (3, 3, "failing"), (6, 3, "failing"), (7, 3, "unsteady"),
        (30, 3, "unsteady"), (31, 3, "healthy"), (1000, 2, "healthy"), (1000, 100, "unsteady"), (1000, 500, "failing"), (40, 0, "healthy"),
    ],
)  # fmt: skip
def test_few_failures_may_be_chance_and_many_are_not(calls: int, failures: int, standing: str) -> None:
    assert Lately(calls, failures).standing == standing


def test_what_the_health_policy_holds_to_be_the_callers_fault_does_not_count() -> None:
    for kind in FailureClass:
        assert counts("failed", kind.value) == (kind not in health._NEUTRAL), kind
    assert not counts("cancelled", "")
    assert counts("ok", "")
    assert lately([("cancelled", "", 9), ("failed", "bad_request", 9), ("ok", "", 2)]) == Lately(2, 0)
