"""The breaker: its rules one by one, its memory over restarts and clock jumps, and a model of it (reliability.md T12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from llm_gateway.policies import breaker as b
from llm_gateway.policies.breaker import Breaker, State

WALL = datetime(2026, 11, 22, 12, tzinfo=UTC)


def failing(times: list[float], start: Breaker | None = None) -> Breaker:
    value = start or Breaker()
    for time in times:
        value = b.failure(value, time)
    return value


def test_five_failures_in_a_row_within_ten_seconds_open_it() -> None:
    assert failing([0, 1, 2, 3]).state is State.CLOSED
    assert failing([0, 2.5, 5, 7.5, 10]).state is State.OPEN
    assert failing([0, 2.5, 5, 7.5, 10.1]).state is State.CLOSED


def test_a_success_between_them_starts_the_count_anew() -> None:
    assert failing([4, 5], b.success(failing([0, 1, 2, 3]), 3.5)).state is State.CLOSED


def test_time_spent_waiting_for_silent_hosts_is_not_counted() -> None:
    value = Breaker()
    for time in (60, 120, 180, 240, 300):
        value = b.failure(value, time, waited_s=60)
    assert value.state is State.OPEN


def test_half_of_at_least_ten_answers_failing_opens_it() -> None:
    value = Breaker()
    for turn in range(4):
        value = b.failure(b.success(value, turn), turn)
    assert value.state is State.CLOSED
    assert b.failure(b.success(value, 5), 5).state is State.OPEN


def test_scattered_failures_of_a_busy_deployment_do_not_open_it() -> None:
    value = Breaker()
    for turn in range(2000):
        value = b.failure(value, turn / 100) if turn % 3 == 0 else b.success(value, turn / 100)
    assert value.state is State.CLOSED
    assert len(value.seconds) <= 11


def test_one_probe_goes_when_the_rest_is_over_and_a_hundred_others_do_not() -> None:
    value = failing([0, 0, 0, 0, 0])
    assert not b.admit(value, 9.9)[0]
    admitted = 0
    for _ in range(100):
        allowed, value = b.admit(value, 10.0)
        admitted += allowed
    assert admitted == 1
    assert value.state is State.HALF_OPEN


def test_a_good_probe_closes_it_and_a_bad_one_doubles_the_rest() -> None:
    _, probing = b.admit(failing([0] * 5), 10)
    assert b.success(probing, 11) == Breaker()
    reopened = b.failure(probing, 11)
    assert b.wait_s(reopened, 11) == 20
    _, again = b.admit(reopened, 31)
    assert b.wait_s(b.failure(again, 31), 31) == 40


def test_the_rest_never_exceeds_two_minutes() -> None:
    value, now = failing([0] * 5), 0.0
    for _ in range(20):
        now += b.wait_s(value, now)
        _, value = b.admit(value, now)
        value = b.failure(value, now)
    assert b.wait_s(value, now) == b.MAX_OPEN_S


def test_a_probe_that_says_nothing_frees_its_place() -> None:
    _, probing = b.admit(failing([0] * 5), 10)
    assert not b.admit(probing, 11)[0]
    assert b.admit(b.release(probing), 11)[0]


def test_a_probe_nobody_reported_on_is_given_up_after_its_lease() -> None:
    _, probing = b.admit(failing([0] * 5), 10)
    assert not b.admit(probing, 10 + b.PROBE_LEASE_S - 0.1)[0]
    assert b.admit(probing, 10 + b.PROBE_LEASE_S)[0]


def test_a_cooldown_needs_no_probe_when_it_is_over_and_is_never_shortened() -> None:
    cooled = b.cool(b.cool(Breaker(), 0, 30), 1, 5)
    assert not b.admit(cooled, 29.9)[0]
    assert b.wait_s(cooled, 20) == 10
    assert all(b.admit(cooled, 30)[0] for _ in range(3))


def test_late_answers_do_not_close_an_open_one() -> None:
    assert b.success(failing([0] * 5), 1).state is State.OPEN


def test_panic_lets_one_through_at_a_time() -> None:
    allowed, value = b.panic(failing([0] * 5), 1)
    assert allowed
    assert not b.panic(value, 2)[0]
    assert b.success(value, 3).state is State.CLOSED


def test_in_a_panic_an_outage_is_met_once_a_second() -> None:
    value, sent = failing([0] * 5), 0
    for tick in range(100):
        allowed, value = b.panic(value, tick / 10)
        if allowed:
            sent += 1
            value = b.failure(value, tick / 10)
    assert sent == 9


def test_consecutive_failures_go_on_counting_over_an_opening() -> None:
    value = failing([0, 1, 2])
    assert value.consecutive == 3
    assert failing([3, 4], value).consecutive == 5


@pytest.mark.parametrize(("jump_s", "rest"), [(0, 7), (3, 4), (3600, 0), (-3600, 120)])
def test_a_restart_keeps_the_rest_and_clamps_it_when_the_clock_jumped(jump_s: float, rest: float) -> None:
    stored = b.dump(failing([0] * 5), 3, WALL)
    loaded = b.load(stored, 1000, WALL + timedelta(seconds=jump_s))
    assert loaded.state is State.OPEN
    assert b.wait_s(loaded, 1000) == pytest.approx(rest)
    assert b.admit(loaded, 1000 + rest)[0]


def test_a_restart_keeps_a_cooldown() -> None:
    loaded = b.load(b.dump(b.cool(Breaker(), 0, 60), 10, WALL), 500, WALL)
    assert b.wait_s(loaded, 500) == pytest.approx(50)


@pytest.mark.parametrize(
    "stored", [{}, {"state": "?", "until": 5, "ejections": "x"}, {"state": "closed", "cool_until": "yesterday", "ejections": -1}]
)
def test_nonsense_loads_as_closed(stored: dict[str, object]) -> None:
    assert b.load(stored, 5, WALL) == Breaker()


class BreakerMachine(RuleBasedStateMachine):
    """Any order of requests, answers, restarts and waiting."""

    @initialize()
    def start(self) -> None:
        self.value = Breaker()
        self.now = 100.0
        self.probe_since: float | None = None
        self.row = 0

    @rule(step=st.floats(0, 200))
    def wait(self, step: float) -> None:
        self.now += step

    @rule()
    def ask(self) -> None:
        closed, cooling = self.value.state is State.CLOSED, self.now < self.value.cool_until
        allowed, self.value = b.admit(self.value, self.now)
        if cooling:
            assert not allowed
        elif closed:
            assert allowed
        elif allowed:
            assert self.probe_since is None or self.now - self.probe_since >= b.PROBE_LEASE_S
            self.probe_since = self.now

    @rule()
    def succeed(self) -> None:
        was = self.value.state
        self.value = b.success(self.value, self.now)
        self.row, self.probe_since = 0, self.probe_since if was is State.OPEN else None
        assert self.value.state is (State.OPEN if was is State.OPEN else State.CLOSED)

    @rule(waited=st.floats(0, 60))
    def fail(self, waited: float) -> None:
        was, before = self.value.state, self.value
        self.value = b.failure(self.value, self.now, waited)
        self.row += 1
        if was is State.HALF_OPEN:
            assert self.value.state is State.OPEN
        if was is State.OPEN:
            assert self.value == before
        if was is State.CLOSED and self.value.state is State.OPEN:
            assert self.row >= 5 or sum(s[1] for s in before.seconds) + 1 >= b.MIN_REQUESTS
        if was is not State.OPEN:
            self.probe_since = None

    @rule(seconds=st.floats(-10, 1e6))
    def cool(self, seconds: float) -> None:
        self.value = b.cool(self.value, self.now, seconds)
        self.probe_since = None

    @rule()
    def caller_was_wrong(self) -> None:
        before = self.value
        self.value = b.release(self.value)
        self.probe_since = None
        assert (self.value.state, self.value.run, self.value.cool_until) == (before.state, before.run, before.cool_until)

    @rule(jump=st.floats(-7200, 7200))
    def restart(self, jump: float) -> None:
        self.value = b.load(b.dump(self.value, self.now, WALL), self.now, WALL + timedelta(seconds=jump))
        self.probe_since = None

    @invariant()
    def it_always_comes_back(self) -> None:
        wait = b.wait_s(self.value, self.now)
        # A hair of tolerance: sums of floats fall just short or beyond.
        assert 0 <= wait <= max(b.MAX_COOLDOWN_S, b.MAX_OPEN_S, b.PROBE_LEASE_S) + 1e-6
        assert b.admit(self.value, self.now + wait + 1e-6)[0]

    @invariant()
    def it_stays_small(self) -> None:
        assert len(self.value.run) <= b.RUN
        assert len(self.value.seconds) <= 11


BreakerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestBreakerMachine = BreakerMachine.TestCase
