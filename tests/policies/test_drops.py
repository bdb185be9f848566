"""A fall of the mean score is told when it is certain, and hardly ever when there is none."""

from __future__ import annotations

import random
from collections import deque

import pytest

from llm_gateway.policies.drops import Fall, fallen
from llm_gateway.policies.evidence import Sums


def _sums(values: list[float]) -> Sums:
    made = Sums()
    for value in values:
        made.add(value)
    return made


def _score(draws: random.Random, bad: float) -> float:
    """As computed scores are: most are 100, some have small findings, a few are capped."""
    return 40.0 if draws.random() < bad else draws.choice((100.0, 100.0, 100.0, 97.0, 88.0))


def _look(before: list[float], recent: list[float]) -> Fall | None:
    return fallen(_sums(before), _sums(recent), at_least=5, values=50)


def test_a_fall_is_told_with_what_it_is_between() -> None:
    draws = random.Random(1)
    fall = _look([_score(draws, 0.05) for _ in range(1000)], [_score(draws, 0.4) for _ in range(200)])
    assert fall is not None
    assert (90 < fall.was < 97, 70 < fall.now < 80, 0 < fall.least < fall.was - fall.now < fall.most) == (True, True, True)


def test_few_answers_and_small_falls_say_nothing() -> None:
    assert _look([100.0] * 1000, [0.0] * 49) is None
    assert _look([100.0] * 49, [0.0] * 1000) is None
    assert _look([100.0] * 50, [0.0] * 50) is not None
    assert _look([100.0] * 9000, [96.0] * 9000) is None, "certain, and less than five points"
    assert _look([100.0] * 1000, [100.0] * 48 + [40.0] * 8) is None, "eight of 56 are a bad day"
    assert _look([40.0] * 1000, [100.0] * 1000) is None, "a rise is no fall"


@pytest.mark.parametrize(
    ("groups", "days"), [(12, 6), pytest.param(300, 30, marks=[pytest.mark.slow, pytest.mark.weekly, pytest.mark.timeout(900)])]
)
def test_looking_every_ten_minutes_at_a_model_that_stays_the_same_hardly_ever_cries_wolf(groups: int, days: int) -> None:
    """Each group has 60 answers a day; a window of a day rolls over a baseline of seven. At most one group of a hundred in a month."""
    draws = random.Random(7)
    wolves = sum(_cried(draws, days) for _ in range(groups))
    assert wolves <= groups * 0.01


def _cried(draws: random.Random, days: int) -> bool:
    a_day, looks = 60, 24
    past = deque((_sums([_score(draws, 0.06) for _ in range(a_day)]) for _ in range(7)), maxlen=7)
    window: deque[float] = deque((_score(draws, 0.06) for _ in range(a_day)), maxlen=a_day)
    for _ in range(days):
        before = Sums(n=sum(d.n for d in past), total=sum(d.total for d in past), squares=sum(d.squares for d in past))
        today = Sums()
        for look in range(a_day):
            value = _score(draws, 0.06)
            today.add(value)
            window.append(value)
            # As often as a value comes is as often as an answer can change.
            if look % (a_day // looks) == 0 and fallen(before, _sums(list(window)), at_least=5, values=50):
                return True
        past.append(today)
    return False


def test_a_model_that_lost_twenty_points_is_told_within_a_day() -> None:
    draws = random.Random(9)
    told = []
    for _ in range(20):
        before = _sums([_score(draws, 0.05) for _ in range(700)])
        recent = Sums()
        for number in range(1, 401):
            recent.add(_score(draws, 0.40))
            if fallen(before, recent, at_least=5, values=50):
                told.append(number)
                break
    assert (len(told), sorted(told)[10] <= 120) == (20, True)
