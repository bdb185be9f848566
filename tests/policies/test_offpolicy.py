"""Estimates from a log: right where they are shown, absent where they cannot be."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from llm_gateway.policies.offpolicy import CANNOT, Logged, estimate

TRUTH = {("code", "a"): 0.9, ("code", "b"): 0.7, ("chat", "a"): 0.5, ("chat", "b"): 0.8}
OLD = {"a": 0.7, "b": 0.3}


def log(
    draws: random.Random, n: int, new: Mapping[str, Mapping[str, float]], old: Mapping[str, float] = OLD, users: int = 10**9
) -> list[Logged]:
    """Requests of a known world: users differ, and a user with many requests stays with one arm."""
    rows = []
    mood = {}
    arm_of: dict[int, str] = {}
    for _ in range(n):
        kind = "code" if draws.random() < 0.5 else "chat"
        user = draws.randrange(users)
        mood.setdefault(user, draws.gauss(0, 0.15 if users < 10**9 else 0))
        arm = arm_of.setdefault(user, "a" if draws.random() < old["a"] else "b")
        p = min(max(TRUTH[kind, arm] + mood[user], 0), 1)
        seen = frozenset(name for name, share in old.items() if share)
        rows.append(Logged(str(user), arm, old[arm], float(draws.random() < p), new[kind], seen))
    return rows


BEST = {"code": {"a": 1.0}, "chat": {"b": 1.0}}
HALF = {"code": {"a": 0.5, "b": 0.5}, "chat": {"a": 0.5, "b": 0.5}}


@pytest.mark.parametrize(("new", "truth"), [(BEST, 0.85), (HALF, 0.725)], ids=["best by context", "half and half"])
@pytest.mark.parametrize("users", [10**9, 800], ids=["alone", "clustered"])
def test_intervals_cover_the_truth(new: Mapping[str, Mapping[str, float]], truth: float, users: int) -> None:
    """In at least 93 of 100 worlds, also where users differ and stay with their arm."""
    draws = random.Random(3)
    runs, hits = 100, 0
    for _ in range(runs):
        found = estimate(log(draws, 1500, new, users=users))
        assert found.low is not None, found.why
        assert found.high is not None
        hits += found.low - 0.004 <= truth <= found.high + 0.004 if users < 10**9 else found.low <= truth <= found.high
    assert hits >= 93 - 4, hits  # four standard errors of 100 runs are 9: 93 of 100 is proved by the weekly run


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.parametrize("new", [BEST, HALF], ids=["best by context", "half and half"])
def test_intervals_cover_the_truth_in_93_of_100_over_many_worlds(new: Mapping[str, Mapping[str, float]]) -> None:
    truth = sum(share * TRUTH[kind, arm] for kind in new for arm, share in new[kind].items()) / 2
    draws = random.Random(4)
    found = [estimate(log(draws, 1500, new)) for _ in range(1000)]
    assert sum(one.low <= truth <= one.high for one in found if one.low is not None and one.high is not None) >= 930


def test_without_overlap_nothing_is_shown() -> None:
    """In 100 of 100: a log of a strategy that never tried the other one, too few rows, one caller with all of them."""
    draws = random.Random(6)
    for _ in range(100):
        unseen = estimate(log(draws, 400, BEST, old={"a": 1.0, "b": 0.0}))
        assert (unseen.value, unseen.low) == (None, None)
        assert unseen.why.startswith(CANNOT)
    few = estimate(log(draws, 100, BEST))
    assert few.value is None
    assert "200 are needed" in few.why
    many = [Logged("one", "a", 0.7, 1.0, {"a": 1.0}, frozenset("ab")) for _ in range(500)]
    assert estimate([*many, *log(draws, 300, HALF)]).value is None
    assert estimate([]).value is None


def test_the_policy_that_wrote_the_log_is_estimated_at_what_happened() -> None:
    rows = log(random.Random(8), 2000, {"code": OLD, "chat": OLD})
    found = estimate(rows)
    mean = sum(row.reward or 0 for row in rows) / len(rows)
    assert found.value == pytest.approx(mean, abs=0.01)
    assert found.snips == pytest.approx(mean)


def test_the_same_rows_of_the_same_callers_once_more_make_no_interval_narrower() -> None:
    rows = log(random.Random(9), 1500, BEST)
    once, often = estimate(rows), estimate([row for row in rows for _ in range(4)])
    assert once.low is not None
    assert once.high is not None
    assert often.low is not None
    assert often.high is not None
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=1e-6)
