"""Intervals that hold while one goes on looking, and the check of the shares."""

from __future__ import annotations

import importlib.util
import math
import random

import pytest

from llm_gateway.policies.evidence import Sums, chi_square_tail, difference, holm, mismatch, radius


def _run(draws: random.Random, effect: float, units: int, every: int) -> tuple[bool, int | None]:
    """(whether 0 was ever outside, at how many units a side it was first)"""
    a, b = Sums(), Sums()
    for n in range(1, units + 1):
        a.add(draws.gauss(0, 1))
        b.add(draws.gauss(effect, 1))
        if n >= 50 and n % every == 0:
            found = difference(a, b)
            assert found is not None
            if not found[0] <= 0 <= found[2]:
                return True, n
    return False, None


@pytest.mark.parametrize(("runs", "units"), [(120, 400), pytest.param(1000, 3000, marks=[pytest.mark.slow, pytest.mark.weekly])])
def test_peeking_all_the_time_cries_wolf_in_at_most_five_of_a_hundred(runs: int, units: int) -> None:
    """A/A: no difference, looked at again and again. An interval for one look is wrong in half of the runs."""
    draws = random.Random(11)
    wolves = sum(_run(draws, 0.0, units, 5)[0] for _ in range(runs))
    assert wolves <= runs * 0.05 + 2 * math.sqrt(runs * 0.05 * 0.95)
    assert runs < 1000 or wolves <= 65


def test_a_difference_is_found_not_much_later_than_by_a_fixed_plan() -> None:
    """0.35 standard deviations: a fixed plan of power 80 % needs 128 a side."""
    draws = random.Random(5)
    found = sorted(_run(draws, 0.35, 900, 5)[1] or 900 for _ in range(60))
    assert found[30] <= 128 * 2


def test_the_sequence_is_that_of_the_book_and_narrows() -> None:
    """Waudby-Smith et al. 2021, eq. 4, spelled out."""
    alpha, n = 0.05, 200
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / 500
    book = math.sqrt(2 * (n * rho2 + 1) / (n * n * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha))
    assert radius(1 / math.sqrt(n), n, alpha) == pytest.approx(book)
    assert radius(1 / math.sqrt(5000), 5000) < radius(1 / math.sqrt(500), 500) < radius(1 / math.sqrt(50), 50)


@pytest.mark.parametrize(("x", "degrees", "tail"), [(3.841459, 1, 0.05), (10.827566, 1, 0.001), (5.991465, 2, 0.05), (18.307, 10, 0.05)])
def test_chi_square_is_the_tables(x: float, degrees: int, tail: float) -> None:
    assert chi_square_tail(x, degrees) == pytest.approx(tail, rel=1e-3)
    if importlib.util.find_spec("scipy"):
        from scipy.stats import chi2

        assert chi_square_tail(x, degrees) == pytest.approx(float(chi2.sf(x, degrees)), rel=1e-9)


def test_shares_that_are_off_are_found_and_fair_ones_are_not() -> None:
    """53:47 of 10,000 in 99 of 100; fair ones cry in at most one of a thousand (here: none of 300)."""
    draws = random.Random(2)

    def split(p: float) -> list[int]:
        left = sum(draws.random() < p for _ in range(10_000))
        return [left, 10_000 - left]

    assert sum(mismatch(split(0.53), [1, 1]) < 0.001 for _ in range(60)) >= 59
    assert sum(mismatch(split(0.5), [1, 1]) < 0.001 for _ in range(100)) == 0
    assert mismatch([70, 30], [0.7, 0.3]) == pytest.approx(1)
    assert mismatch([5, 1], [1, 0]) == 0


def test_holm_asks_the_most_certain_first() -> None:
    assert holm([0.04, 0.001, 0.5]) == pytest.approx([0.025, 0.05 / 3, 0.05])
