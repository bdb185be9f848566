"""A canary that is worse goes within minutes, one that is as good stays."""

from __future__ import annotations

import random

import pytest

from llm_gateway.policies.guards import Seen, breach

GUARDS = {"success_points": 5.0, "p95_factor": 1.5, "cost_factor": 1.5, "min_requests": 200}


def _watched(draws: random.Random, minutes: int, success: float, slow: float = 0.02, cost: float = 1.0) -> int | None:
    """In which minute it was rolled back: 50 requests a second, a fifth of them the canary's."""
    base, canary = Seen(), Seen()

    def minute(n: int, ok: float, slowness: float, price: float) -> Seen:
        good = round(draws.gauss(n * ok, (n * ok * (1 - ok)) ** 0.5))
        late = max(0, round(draws.gauss(good * slowness, (good * slowness * (1 - slowness)) ** 0.5)))
        total = draws.gauss(n * price, (n * price * price) ** 0.5)  # costs as spread as they are large
        return Seen(requests=n, ok=good, answers=good, slow=late, priced=n, cost=total, cost_squares=2 * n * price * price)

    for number in range(1, minutes + 1):
        base = base.plus(minute(2400, 0.95, 0.02, 1.0))
        canary = canary.plus(minute(600, success, slow, cost))
        if breach(base, canary, GUARDS):
            return number
    return None


@pytest.mark.parametrize("worse", [{"success": 0.85}, {"success": 0.95, "slow": 0.15}, {"success": 0.95, "cost": 2.0}], ids=str)
def test_a_bad_canary_is_rolled_back_within_three_minutes(worse: dict[str, float]) -> None:
    draws = random.Random(1)
    assert all((_watched(draws, 3, **worse) or 99) <= 3 for _ in range(100))


def test_a_good_canary_is_kept_in_99_of_100_days() -> None:
    draws = random.Random(2)
    kept = sum(_watched(draws, 240, 0.95) is None for _ in range(200))
    assert kept >= 198


def test_little_traffic_says_nothing() -> None:
    bad = Seen(requests=199, ok=0)
    assert breach(Seen(requests=1000, ok=990), bad, GUARDS) == ""
    assert "Success fell" in breach(Seen(requests=1000, ok=990), Seen(requests=200, ok=100), GUARDS)
    off = {**GUARDS, "success_points": None, "p95_factor": None, "cost_factor": None}
    assert breach(Seen(requests=1000, ok=990), Seen(requests=500, ok=0), off) == ""
