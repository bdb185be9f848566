"""``p``: the exact probability of standing first."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from llm_gateway.strategies import Candidate, Stats, strategies

from .build import candidate, rank

SETTINGS: dict[str, dict[str, Any]] = {
    "weighted": {"weights": {"a": 3, "b": 1, "c": 2}},
    "ab-testing": {"arms": {"a": 70, "b": 30}},
    "performance-based": {"exploration": 0.1},
    "lowest-latency": {"exploration": 0.2},
}


def _eight() -> list[Candidate]:
    """Equal ranks, several keys, weights, ties, something unmeasured and something unfit."""
    measured = Stats(requests=100, successes=90, latency_ms=500.0, ttft_ms=100.0)
    promising = Stats(requests=3, successes=3, latency_ms=400.0, ttft_ms=90.0)
    return [
        candidate("a", "m1", key=0, priority=10, weight=2, key_weight=1, stats=measured, estimate=100),
        candidate("a", "m1", key=1, priority=10, weight=2, key_weight=3, stats=measured, estimate=100),
        candidate("b", "m1", key=0, priority=10, weight=1, key_weight=1, stats=measured, estimate=100),
        candidate("b", "m2", key=0, priority=10, weight=1, key_weight=0, stats=promising, estimate=90),
        candidate("c", "m1", key=0, priority=20, weight=1, key_weight=1, estimate=300),
        candidate("c", "m1", key=1, priority=20, weight=1, key_weight=2, estimate=300),
        candidate("d", "m1", key=0, priority=20, weight=0, key_weight=1, stats=measured, estimate=90),
        candidate("d", "m2", key=0, priority=20, weight=0, key_weight=1, context_window=10, estimate=1),
    ]


@pytest.mark.parametrize("kind", [name for name in strategies if name != "learned"])
def test_p_sums_to_one_and_is_how_often_each_stands_first(kind: str) -> None:
    """Over 4,000 draws each frequency is within four standard errors: exact, not simulated."""
    candidates = _eight()
    draws = random.Random(7)
    settings = SETTINGS.get(kind, {})
    n = 4000
    p = rank(kind, candidates, settings).p
    assert len(p) == len(candidates)
    assert sum(p) == pytest.approx(1, abs=1e-9)
    assert p[7] == 0, "what does not fit is never first"
    seen: Counter[int] = Counter(rank(kind, candidates, settings, draw=draws.getrandbits(32) / 2**32).order[0] for _ in range(n))
    for place, share in enumerate(p):
        assert abs(seen[place] / n - share) <= 4 * (share * (1 - share) / n) ** 0.5 + 1e-9, (place, share, seen[place] / n)


def test_hashed_callers_fall_on_arms_by_the_same_probabilities() -> None:
    """A sticky caller is one draw of the hash: over callers ``p`` is right, too."""
    candidates = _eight()
    p = rank("ab-testing", candidates, SETTINGS["ab-testing"], sticky="x").p
    seen = Counter(rank("ab-testing", candidates, SETTINGS["ab-testing"], sticky=f"u{n}", affinity=f"s{n}").order[0] for n in range(3000))
    for place, share in enumerate(p):
        assert abs(seen[place] / 3000 - share) <= 4 * (share * (1 - share) / 3000) ** 0.5 + 1e-9, place


def test_a_quality_weight_prefers_what_scores_better_once_thirty_answers_are_scored() -> None:
    def pair(count: int) -> list[Candidate]:
        tidy = Stats(requests=50, successes=49, latency_ms=100.0, quality=0.4, scored=count)
        right = Stats(requests=50, successes=48, latency_ms=100.0, quality=0.9, scored=count)
        return [candidate("a", "tidy", priority=10, stats=tidy), candidate("b", "right", priority=10, stats=right)]

    settings = {"quality_weight": 0.5, "exploration": 0}
    assert rank("performance-based", pair(30), settings).order[0] == 1
    assert rank("performance-based", pair(29), settings).order[0] == 0, "29 scores route nothing"
    assert rank("performance-based", pair(30), {"exploration": 0}).order[0] == 0, "its weight is 0 unless somebody says otherwise"
