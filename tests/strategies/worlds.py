"""Worlds in which it is known what each model is good at: for the learned strategy, and for whatever is compared with it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llm_gateway.core.learning import Learnt, Memory, features, priors
from llm_gateway.strategies import Candidate, RequestFacts, strategies

from .build import NOW, candidate

ARMS = ("a", "b", "c", "d")
CONTEXTS: tuple[Mapping[str, Any], ...] = (
    {"task_type": "code", "language": "python"},
    {"task_type": "review"},
    {"task_type": "chat", "stream": True},
)
STEADY = {"a": (0.92, 0.70, 0.72), "b": (0.72, 0.93, 0.70), "c": (0.70, 0.72, 0.94), "d": (0.78, 0.78, 0.78)}
COSTS = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}
SETTINGS = {"mode": "active", "cost_weight": 0.0, "latency_weight": 0.0, "holdout_share": 0.0, "explore_share": 0.3}
FIT_EVERY = 50
Truth = Callable[[int, str, int], float]


class World(NamedTuple):
    """``truth``: the chance of success at a step, of an arm, in a context. ``differs``: another arm is best in each context.
    ``since``: from which step on ``truth`` is what it is now."""

    name: str
    truth: Truth
    differs: bool
    since: int = 0
    arms: Callable[[int], tuple[str, ...]] = lambda step: ARMS


def _steady(step: int, arm: str, context: int) -> float:
    return STEADY[arm][context]


def _drift(step: int, arm: str, context: int) -> float:
    """The first two change places little by little."""
    share = min(1.0, step / 3000)
    other = {"a": "b", "b": "a"}.get(arm, arm)
    return STEADY[arm][context] * (1 - share / 2) + STEADY[other][context] * share / 2


def _silent(step: int, arm: str, context: int) -> float:
    """The best of the first context loses twenty points and nobody says so."""
    return STEADY[arm][context] - (0.25 if arm == "a" and step >= 1000 else 0.0)


def _new(step: int, arm: str, context: int) -> float:
    return 0.9 if arm == "d" else STEADY[arm][context]


def _one_best(step: int, arm: str, context: int) -> float:
    return {"a": 0.93, "b": 0.85, "c": 0.8, "d": 0.75}[arm]


WORLDS = (
    World("steady", _steady, True),
    World("drift", _drift, True),
    World("silent degradation", _silent, False, 1000),
    World("new model", _new, False, 1000, lambda step: ARMS if step >= 1000 else ARMS[:3]),
    World("one best arm", _one_best, False),
)


class Lived(NamedTuple):
    """Mean chance of success of what was chosen, of the best arm in each context, and of the best one arm for all; ``late``: of the
    choices of the thousand steps after the change."""

    chosen: float
    oracle: float
    fixed: float
    late: float
    late_oracle: float


def live(world: World, seed: int, steps: int = 3000, fade: float = 0.9995) -> Lived:
    """A strategy that begins with nothing and learns from what it chose; fitted every fifty answers, as old ones fade."""
    draws = random.Random(seed)
    every = {arm: candidate(f"p{arm}", arm, priority=10) for arm in ARMS}
    memories = {arm: Memory() for arm in ARMS}
    learnt: dict[str, Learnt] = {}
    strategy = strategies.get("learned")
    settings = strategy.validate({**SETTINGS, "base": "round-robin"})
    chosen = oracle = late = late_oracle = 0.0
    fixed = dict.fromkeys(ARMS, 0.0)
    for step in range(steps):
        arms = world.arms(step)
        number = draws.randrange(len(CONTEXTS))
        facts = RequestFacts(now=NOW, prompt_tokens=draws.randrange(50, 4000), max_tokens=500, **CONTEXTS[number])
        candidates = [Candidate(target=every[arm].target, learnt=learnt.get(arm)) for arm in arms]
        ranking = strategy.order(candidates, facts, settings, draws.random())
        arm = arms[ranking.order[0]]
        p = world.truth(step, arm, number)
        best = max(world.truth(step, one, number) for one in arms)
        chosen, oracle = chosen + p, oracle + best
        for one in ARMS:
            fixed[one] += world.truth(step, one, number) if one in arms else 0.0
        if world.since <= step < world.since + 1000:
            late, late_oracle = late + p, late_oracle + best
        x = features(facts.prompt_tokens, facts.needs, facts.task_type, facts.language, facts.stream)
        memories[arm].add(x, {"success": float(draws.random() < p)})
        if step % FIT_EVERY == FIT_EVERY - 1:
            means = priors(memories.values())
            for one, memory in memories.items():
                for kept in memory.sums.values():
                    kept.n, kept.total = kept.n * fade**FIT_EVERY, kept.total * fade**FIT_EVERY
                    kept.a = [value * fade**FIT_EVERY for value in kept.a]
                    kept.b = [value * fade**FIT_EVERY for value in kept.b]
                learnt[one] = memory.learnt(means)
    return Lived(chosen / steps, oracle / steps, max(fixed.values()) / steps, late / 1000, late_oracle / 1000)
