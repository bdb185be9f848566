"""What is said of a saving, and how sure it is."""

from __future__ import annotations

import random

import pytest

from analytics.reports.learned import Difference, difference, sentence, t


def _groups(draws: random.Random, count: int, mean: float, within: float) -> list[tuple[float, float]]:
    """32 groups of callers whose requests resemble each other: a group's mean is its own."""
    found = []
    for _ in range(count):
        size = draws.randint(10, 60)
        level = draws.gauss(mean, within)
        found.append((sum(draws.gauss(level, 1.0) for _ in range(size)), float(size)))
    return found


def test_intervals_hold_the_truth_although_requests_of_a_caller_resemble_each_other() -> None:
    draws = random.Random(5)
    inside = 0
    for _ in range(300):
        found = difference(_groups(draws, 32, 10.0, 0.8), _groups(draws, 32, 10.5, 0.8))
        assert found is not None
        inside += found.low <= -0.5 <= found.high
    assert 0.92 <= inside / 300 <= 0.985
    assert t(31) == pytest.approx(2.0395, abs=1e-3)
    assert t(7) == pytest.approx(2.3646, abs=1e-2)


def test_too_few_requests_or_groups_say_nothing() -> None:
    assert difference([(1.0, 5.0)] * 9, [(1.0, 5.0)] * 10) is None
    assert difference([(1.0, 50.0)] * 7, [(1.0, 50.0)] * 10) is None
    assert difference([(1.0, 50.0)] * 8, [(1.0, 50.0)] * 8) is not None


def test_the_sentence_says_what_was_saved_what_it_cost_and_where_nothing_was() -> None:
    none = Difference(value=0.0, low=-0.1, high=0.1)
    worse = Difference(value=-0.02, low=-0.03, high=-0.01)
    assert sentence((5_000_000_000, 1_000_000_000, 9_000_000_000), none, none) == (
        "It saved 5.00 USD; no difference in success or quality can be told."
    )
    assert sentence((5_000_000_000, -1, 9_000_000_000), none, None).startswith("It saved nothing that can be told from chance; ")
    said = sentence((-5_000_000_000, -9_000_000_000, -1_000_000_000), worse, None)
    assert said == "It saved nothing: it cost 5.00 USD more; success fell by 2.0 points, of quality too little is known."
    assert sentence(None, worse, none).startswith("It cannot be told")
