"""Learned: exact chances, bounded looking, and what it makes of worlds that are known."""

from __future__ import annotations

import time
from collections import Counter
from hashlib import blake2b
from typing import Any

import pytest

from llm_gateway.core.learning import DIMENSIONS, Learnt, Memory, Sum, features, weights_of_keys
from llm_gateway.strategies import Candidate, Ranking, Stats, strategies

from .build import candidate, facts
from .worlds import WORLDS, World, live

ON = {"mode": "active", "holdout_share": 0.1, "explore_share": 0.3}


def _learnt(success: float, n: float = 400.0, cost: float = 10.0, **more: Any) -> Learnt:
    def flat(value: float) -> list[float]:
        return [value] + [0.0] * (DIMENSIONS - 1)

    return Learnt(n=n, success=flat(success), log_cost=flat(cost), log_latency=flat(6.0), **more)


def _four(**more: Any) -> list[Candidate]:
    beliefs = [_learnt(0.9, **more), _learnt(0.9, **more), _learnt(0.86, **more), _learnt(0.4, **more)]
    made = [
        candidate("a", "m", key=0, priority=20, key_weight=1), candidate("a", "m", key=1, priority=20, key_weight=3),
        candidate("b", "m", priority=10), candidate("c", "m", priority=30),
    ]  # fmt: skip
    return [Candidate(target=one.target, learnt=belief) for one, belief in zip(made, beliefs, strict=True)]


def _rank(candidates: list[Candidate], settings: dict[str, Any], draw: float, **given: Any) -> Ranking:
    strategy = strategies.get("learned")
    return strategy.order(candidates, facts(**given), strategy.validate(settings), draw)


@pytest.mark.parametrize("mode", ["shadow", "active"])
def test_p_sums_to_one_and_is_how_often_each_stands_first(mode: str) -> None:
    candidates = _four()
    settings = {**ON, "mode": mode, "base": "weighted"}
    p = _rank(candidates, settings, 0.5).p
    assert sum(p) == pytest.approx(1)
    n = 4000
    seen = Counter(_rank(candidates, settings, (k * 2654435761 % 2**32) / 2**32).order[0] for k in range(n))
    for place, share in enumerate(p):
        assert abs(seen[place] / n - share) <= 4 * (share * (1 - share) / n) ** 0.5 + 2e-3, (place, share, seen)


def test_in_shadow_the_base_decides_and_the_record_says_what_learned_would_have_done() -> None:
    ranking = _rank(_four(), {"mode": "shadow"}, 0.9)
    base = strategies.get("enterprise").order(_four(), facts(), {}, 0.9)
    assert (ranking.order, ranking.p) == (base.order, base.p)
    assert "learned would have chosen a/m, expecting success 90%" in ranking.note


def test_looking_is_bounded_and_stops_where_it_is_forbidden() -> None:
    """Never more than its share; never where it is surely worse, with the day's money spent, or for a key that wants none."""
    settings = {**ON, "holdout_share": 0.0, "explore_share": 0.05}
    p = _rank(_four(), settings, 0.5).p
    assert p[0] + p[1] >= 0.95 - 1e-9
    assert p[2] > 0
    assert p[3] == 0, "its upper bound is below the best's lower one"
    for forbidden in (
        _rank(_four(may_explore=False), settings, 0.5),
        _rank(_four(), {**settings, "never_explore": ["key-1"]}, 0.5, client="key-1"),
        _rank(_four(), {**settings, "explore_share": 0}, 0.5),
    ):
        assert forbidden.p[0] + forbidden.p[1] == pytest.approx(1)


def test_a_conversation_does_not_wander_and_holdouts_stay_with_the_base() -> None:
    settings = {**ON, "holdout_share": 0.3}
    for number in range(50):
        firsts = {_rank(_four(), settings, draw / 20, affinity=f"talk {number}", sticky=f"s{number}").order[0] for draw in range(20)}
        assert len(firsts) == 1
    held = sum("share that stays" in _rank(_four(), settings, 0.5, sticky=f"u{number}").note for number in range(1000))
    assert 240 <= held <= 360


def test_with_little_learnt_it_is_the_base_and_says_so() -> None:
    ranking = _rank(_four(n=3.0), ON, 0.5)
    assert ranking.order[0] == 2
    assert "Too little is learnt yet" in ranking.note


def test_cost_moves_the_choice_as_its_weight_says() -> None:
    dear, cheap = _learnt(0.90, cost=12.0), _learnt(0.87, cost=10.0)
    made = [candidate("a", "m", priority=10), candidate("b", "m", priority=20)]
    candidates = [Candidate(target=one.target, learnt=belief) for one, belief in zip(made, (dear, cheap), strict=True)]
    quiet = {**ON, "explore_share": 0, "holdout_share": 0, "latency_weight": 0}
    assert _rank(candidates, {**quiet, "cost_weight": 0}, 0.5).order[0] == 0
    ranking = _rank(candidates, {**quiet, "cost_weight": 0.1}, 0.5)
    assert ranking.order[0] == 1
    assert ranking.note.startswith("Chosen because it is expected to be best: success 87%")


def test_quality_moves_the_choice_where_it_has_a_weight_and_unknown_quality_is_no_bad_mark() -> None:
    good = [0.9] + [0.0] * (DIMENSIONS - 1)
    bad = [0.5] + [0.0] * (DIMENSIONS - 1)
    made = [candidate(slug, "m", priority=priority) for slug, priority in (("a", 10), ("b", 20), ("c", 30))]
    quiet = {**ON, "explore_share": 0, "holdout_share": 0, "latency_weight": 0, "cost_weight": 0}

    def first(weight: float, scored: tuple[float, float, float]) -> int:
        beliefs = [_learnt(0.92, quality=bad, scored=scored[0]), _learnt(0.88, quality=good, scored=scored[1]), _learnt(0.91, scored=0)]
        candidates = [Candidate(target=one.target, learnt=belief) for one, belief in zip(made, beliefs, strict=True)]
        return _rank(candidates, {**quiet, "quality_weight": weight}, 0.5).order[0]

    assert first(0, (40, 40, 0)) == 0, "nobody weighs it"
    assert first(0.5, (40, 40, 0)) == 1
    assert first(0.5, (40, 29, 0)) == 0, "29 scores say nothing: all count as the one that is known"
    assert first(0.1, (40, 40, 0)) == 2, "what is unknown is in the middle of what is known, and not the worst"


@pytest.mark.parametrize(
    "wrong", [{"mode": "on"}, {"base": "learned"}, {"base": "x"}, {"explore_share": 2}, {"never_explore": [1]}, {"x": 1}]
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"has to be|is a list|no setting"):
        strategies.get("learned").validate(wrong)


def test_sums_fit_what_they_were_made_of_and_fade() -> None:
    one = Sum()
    for n in range(3000):
        x = features(100 + n, ["tools"] if n % 2 else [], "code" if n % 3 else "chat", None, n % 5 == 0)
        one.add(x, 0.5 + 0.2 * (n % 2) - 0.3 * (n % 5 == 0))
    fitted = one.fit(0.5)
    assert fitted is not None
    assert (fitted[3], fitted[2]) == (pytest.approx(0.2, abs=0.01), pytest.approx(-0.3, abs=0.01))
    before = one.n
    one.fade(7 * 86400)
    assert one.n == pytest.approx(before / 2)
    assert Sum().fit(0.5) is None
    few = Memory()
    few.add(features(1, [], None, None, False), {"success": 0.0, "quality": None})
    assert few.learnt({"success": 0.9}).success[0] > 0.4, "one failure does not undo what the others taught"  # type: ignore[index]


def test_no_key_teaches_more_than_its_part() -> None:
    weights = weights_of_keys({"whale": 9000, **{f"k{n}": 100 for n in range(10)}})
    assert weights["whale"] * 9000 <= 0.2 * 10_000 + 1
    assert weights["k1"] == 1
    assert weights_of_keys({"only": 10}) == {"only": 1.0}


def _judged(world: World, seeds: int, steps: int) -> None:
    lives = [live(world, seed, steps) for seed in range(seeds)]
    for seed, one in enumerate(lives):
        assert one.chosen >= one.fixed - 0.02, (world.name, seed, one)
    if world.differs:
        assert sum(one.chosen / one.oracle for one in lives) / seeds >= 0.97, (world.name, lives)
    if world.since and steps >= 2000:
        assert sum(one.late / one.late_oracle for one in lives) / seeds >= 0.95, (world.name, lives)


def test_where_arms_differ_by_context_it_comes_close_to_the_oracle() -> None:
    _judged(WORLDS[0], 1, 3000)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_it_does_well_in_each_world(world: World) -> None:
    _judged(world, 2, 3000)


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_it_does_well_in_each_world_over_twenty_seeds(world: World) -> None:
    _judged(world, 20, 3000)


# Where `_loop` takes 7.0 µs (2 cores, Python 3.11), 60 µs are 8.6 of it; the rest is room for noise.
MOST_LOOPS = 9.0


def _loop() -> int:
    """Plain Python of known length: dictionaries, sums and a hash, as strategies are made of."""
    found: dict[int, float] = {}
    for number in range(60):
        found[number % 8] = found.get(number % 8, 0.0) + number * 0.5
    return len(sorted(found.values())) + len(blake2b(b"an order of eight", digest_size=8).digest())


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("kind", list(strategies))
def test_an_order_of_eight_takes_sixty_microseconds_at_most(kind: str) -> None:
    """CPU time in turns with that of a loop whose length is known, so that another machine, or a busy one, changes nothing."""
    seen = Stats(requests=9, successes=8, latency_ms=5.0)
    eight = [candidate(slug, name, priority=10, stats=seen, estimate=5) for slug in "abcd" for name in ("x", "y")]
    eight = [Candidate(target=one.target, stats=one.stats, estimate_nusd=5, learnt=_learnt(0.9)) for one in eight]
    strategy = strategies.get(kind)
    settings, given = strategy.validate({**ON} if kind == "learned" else {}), facts(task_type="code", language="python")

    def cpu(work: Any, times: int) -> float:
        began = time.process_time()
        for _ in range(times):
            work()
        return (time.process_time() - began) / times

    turns = [(cpu(_loop, 300), cpu(lambda: strategy.order(eight, given, settings, 0.3), 300)) for _ in range(9)]
    unit, taken = min(unit for unit, _ in turns), min(taken for _, taken in turns)
    assert taken <= unit * MOST_LOOPS, f"{taken * 1e6:.0f} µs, {taken / unit:.1f} of {MOST_LOOPS} times the loop's {unit * 1e6:.1f} µs"
