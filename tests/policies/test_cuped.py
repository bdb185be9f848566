"""What units did before makes intervals shorter and never wrong."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from llm_gateway.policies.cuped import cut
from llm_gateway.policies.experiments import Arm, Told, analyse

ARMS = {"old": 50.0, "new": 50.0}


class Looks(NamedTuple):
    """``cried``: at some look one arm was surely better. ``missed``: at some look the truth was outside. ``last``: what the last said."""

    cried: bool
    missed: bool
    last: Told


def _lived(draws: random.Random, *, units: int, looks: int, effect: float, habit: float, known: float, narrowed: bool) -> Looks:
    """Units of several requests whose level is their own: ``habit`` is how much levels differ; of a share ``known`` the time before is in
    the log. A request is its unit's level, noise, and ``effect`` in the new arm."""
    before: dict[str, list[float]] = {}
    data = {"success": {arm: Arm() for arm in ARMS}}
    counts = dict.fromkeys(ARMS, 0)
    cried = missed = False
    last: Told | None = None
    for number in range(1, units + 1):
        name, level = str(number), draws.gauss(0.7, habit)
        if draws.random() < known:
            requests = draws.randint(2, 10)
            before[name] = [sum(draws.gauss(level, 0.3) for _ in range(requests)), requests]
        arm = "old" if draws.random() < 0.5 else "new"
        counts[arm] += 1
        for _ in range(draws.randint(2, 10)):
            data["success"][arm].add(name, draws.gauss(level + (effect if arm == "new" else 0.0), 0.3))
        if number % (units // looks) == 0:
            last = analyse(ARMS, data, counts, "success", [], None, {"success": before} if narrowed else None)
            low, high = (last.compared[0].low, last.compared[0].high) if last.compared else (None, None)
            if low is not None and high is not None:
                cried = cried or last.verdict in ("better", "worse")
                missed = missed or not low <= effect <= high
    assert last is not None
    return Looks(cried, missed, last)


def _width(told: Told) -> float:
    (one,) = told.compared
    assert one.high is not None
    assert one.low is not None
    return one.high - one.low


@pytest.mark.parametrize("runs", [40, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.weekly, pytest.mark.timeout(900)])])
def test_with_the_time_before_peeking_is_as_safe_and_intervals_are_shorter(runs: int) -> None:
    """A/A with ten looks, and the same with an effect: the truth is inside at every look in 95 of 100, with the covariate as without."""
    same = [_lived(random.Random(seed), units=400, looks=10, effect=0.0, habit=0.3, known=0.8, narrowed=True) for seed in range(runs)]
    assert sum(one.cried for one in same) <= runs * 0.05
    other = [_lived(random.Random(seed), units=400, looks=10, effect=0.1, habit=0.3, known=0.8, narrowed=True) for seed in range(runs // 2)]
    assert sum(one.missed for one in other) <= runs // 2 * 0.05
    plain = [_lived(random.Random(seed), units=400, looks=10, effect=0.0, habit=0.3, known=0.8, narrowed=False) for seed in range(20)]
    shorter = [_width(one.last) / _width(two.last) for one, two in zip(same, plain, strict=False)]
    assert max(shorter) < 0.9
    assert sum(shorter) / len(shorter) < 0.75
    assert all(0.1 < one.last.narrowed["success"] < 0.6 for one in same)


def test_a_time_before_that_says_nothing_changes_next_to_nothing() -> None:
    for seed in range(10):
        with_it = _lived(random.Random(seed), units=400, looks=1, effect=0.0, habit=0.0, known=1.0, narrowed=True).last
        without = _lived(random.Random(seed), units=400, looks=1, effect=0.0, habit=0.0, known=1.0, narrowed=False).last
        assert 0.97 <= _width(with_it) / _width(without) <= 1.02


def test_few_units_from_before_are_left_alone_and_others_are_not_counted() -> None:
    arms = {"old": {str(n): [n % 3, 2.0] for n in range(100)}, "new": {f"x{n}": [n % 2, 2.0] for n in range(100)}}
    before = {str(n): [float(n % 3), 3.0] for n in range(49)}
    assert cut(arms, before) is None
    assert cut(arms, before | {f"stranger {n}": [1.0, 1.0] for n in range(500)}) is None
    assert cut(arms, before | {"49": [1.0, 3.0]}) is not None


def test_arms_that_happened_to_get_other_units_are_put_right() -> None:
    """The same people before and now, unevenly dealt: what was there before is no effect."""
    draws = random.Random(3)
    arms: dict[str, dict[str, list[float]]] = {"old": {}, "new": {}}
    before = {}
    for n in range(400):
        level = draws.gauss(0, 1)
        arm = "new" if draws.random() < (0.6 if level > 0 else 0.4) else "old"
        before[str(n)] = [level, 1.0]
        arms[arm][str(n)] = [level + draws.gauss(0, 0.1), 1.0]
    found = cut(arms, before)
    assert found is not None
    raw = {name: sum(total for total, _ in units.values()) / len(units) for name, units in arms.items()}
    assert raw["new"] - raw["old"] > 0.2
    assert abs(found.arms["new"].mean - found.arms["old"].mean) < 0.05
    assert found.explained > 0.95
