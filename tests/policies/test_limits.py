from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.policies.limits import Bucket, corrected, take


def test_a_minutes_worth_passes_at_once_and_the_next_one_waits_exactly_its_turn() -> None:
    bucket: Bucket | None = None
    for turn in range(60):
        verdict, bucket = take(bucket, 60, 100.0)
        assert verdict.allowed
        assert verdict.remaining == 59 - turn
    verdict, bucket = take(bucket, 60, 100.25)
    assert not verdict.allowed
    assert abs(verdict.retry_after_s - 0.75) < 1e-9
    assert take(bucket, 60, 100.25 + verdict.retry_after_s)[0].allowed


def test_a_refusal_costs_nothing() -> None:
    _, bucket = take(None, 1, 0)
    for _ in range(100):
        verdict, bucket = take(bucket, 1, 0)
    assert verdict.retry_after_s == 60


def test_processes_that_do_not_see_each_other_share_the_limit() -> None:
    verdict, _ = take(None, 100, 0, processes=4)
    assert verdict.limit == 25
    assert take(None, 2, 0, processes=4)[0].limit == 1


def test_a_clock_that_went_back_takes_nothing_away() -> None:
    _, bucket = take(None, 60, 1000)
    assert take(bucket, 60, 10)[0].allowed


@given(limit=st.integers(1, 600), gaps=st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_coming_back_when_told_always_works_and_no_minute_sees_twice_the_limit(limit: int, gaps: list[float]) -> None:
    now, bucket, passed = 0.0, None, 0
    for gap in gaps:
        now += gap
        verdict, bucket = take(bucket, limit, now)
        if verdict.allowed:
            passed += 1
        else:
            assert 0 < verdict.retry_after_s <= 60 / limit + 1e-9
            assert take(bucket, limit, now + verdict.retry_after_s)[0].allowed
    assert passed <= limit + limit * now / 60 + 1


def test_a_rounding_error_does_not_refuse_who_comes_back_when_told() -> None:
    verdict, bucket = take(Bucket(0.0, 1000.1), 2, 1000.103)
    assert take(bucket, 2, 1000.103 + verdict.retry_after_s)[0].allowed


def test_what_was_used_above_what_was_reserved_has_to_come_back_first() -> None:
    verdict, bucket = take(None, 600, 0, cost=100)
    assert verdict.remaining == 500
    bucket = corrected(bucket, 600, reserved=100, used=900)
    refused, _ = take(bucket, 600, 0, cost=100)
    assert (refused.allowed, refused.remaining, round(refused.retry_after_s, 6)) == (False, 0, 40)
    assert take(bucket, 600, refused.retry_after_s, cost=100)[0].allowed


def test_what_is_given_back_never_makes_more_than_a_minutes_worth() -> None:
    _, bucket = take(None, 600, 0, cost=100)
    assert corrected(bucket, 600, reserved=500, used=0).level == 600


def test_looking_takes_nothing() -> None:
    _, bucket = take(None, 60, 0)
    verdict, looked = take(bucket, 60, 0, cost=0)
    assert (verdict.allowed, verdict.remaining, looked.level) == (True, 59, bucket.level)
