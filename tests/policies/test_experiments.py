"""Verdicts of experiments: only what is certain, by units, and nothing where the shares are off."""

from __future__ import annotations

import random

import pytest

from llm_gateway.policies.experiments import Arm, Told, analyse

ARMS = {"old": 50.0, "new": 50.0}


def _told(
    draws: random.Random, units: int, old: float, new: float, *, per_unit: int = 3, spread: float = 0.1, effect: float | None = None,
    costs: tuple[float, float] = (1.0, 1.0), uneven: float = 0.5,
) -> Told:  # fmt: skip
    data = {metric: {arm: Arm() for arm in ARMS} for metric in ("success", "cost")}
    counts = dict.fromkeys(ARMS, 0)
    for number in range(units):
        arm = "old" if draws.random() < uneven else "new"
        counts[arm] += 1
        mood = draws.gauss(0, spread)
        for _ in range(draws.randint(1, per_unit * 2 - 1)):
            p = min(max((old if arm == "old" else new) + mood, 0), 1)
            data["success"][arm].add(str(number), float(draws.random() < p))
            data["cost"][arm].add(str(number), draws.expovariate(1) * costs[arm == "new"])
    return analyse(ARMS, data, counts, "success", ["cost"], effect)


def test_what_is_better_worse_equal_or_uncertain_is_said_in_a_sentence() -> None:
    draws = random.Random(1)
    better = _told(draws, 3000, 0.7, 0.8)
    assert (better.verdict, better.sentence.split(":")[0]) == ("better", "new is better than old")
    worse = _told(draws, 3000, 0.8, 0.7)
    assert (worse.verdict, worse.sentence.split(":")[0]) == ("worse", "old is better than the other")
    assert _told(draws, 6000, 0.8, 0.8, effect=0.06).verdict == "equivalent"
    assert _told(draws, 300, 0.8, 0.8).verdict == "collecting"
    assert _told(draws, 60, 0.2, 0.9).verdict == "collecting", "fewer than 50 units an arm"
    harmed = _told(draws, 3000, 0.7, 0.8, costs=(1.0, 2.0))
    assert (harmed.verdict, "its cost is worse" in harmed.sentence) == ("worse", True)


def test_nothing_is_compared_when_the_shares_of_the_units_are_off() -> None:
    told = _told(random.Random(2), 5000, 0.5, 0.9, uneven=0.55)
    assert (told.verdict, told.compared) == ("invalid", [])
    assert told.srm < 0.001
    idle = _told(random.Random(2), 500, 0.5, 0.9, uneven=1.0)
    assert (idle.verdict, "new got nobody" in idle.sentence) == ("invalid", True)


def test_one_unit_with_most_of_the_traffic_is_warned_of_and_decides_nothing() -> None:
    data = {"success": {arm: Arm() for arm in ARMS}}
    draws = random.Random(3)
    for arm in ARMS:
        for number in range(100):
            data["success"][arm].add(f"{arm}{number}", float(draws.random() < 0.8))
    for _ in range(5000):
        data["success"]["new"].add("whale", 1.0)
    told = analyse(ARMS, data, {"old": 100, "new": 101}, "success", [], None)
    assert any("of the requests of new" in warning for warning in told.warnings)
    assert told.verdict == "collecting", "its five thousand requests are one unit"


@pytest.mark.parametrize("runs", [60, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.weekly])])
def test_two_arms_that_are_the_same_are_hardly_ever_told_apart(runs: int) -> None:
    """A/A with users of several requests who differ: requests are not independent, and the interval knows."""
    draws = random.Random(4)
    wrong = sum(_told(draws, 400, 0.7, 0.7, spread=0.3, per_unit=6).verdict in ("better", "worse") for _ in range(runs))
    assert wrong <= runs * 0.05
