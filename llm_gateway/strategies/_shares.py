"""The exact probability of each candidate being first: over the draw, and over whom the hashes of ``_affinity`` and ``_arms`` fall on.

Both are exponential races: of those that run, each wins with its weight's share, whoever else was entered. No simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._layout import Layout, of_weights

Shares = dict[int, float]


def first_by_arms(laid: Layout, groups: Mapping[str | None, Sequence[int]], names: Mapping[str, float]) -> Mapping[int, float]:
    """Who stands first where an arm is drawn by weight among those that have a candidate (``groups``, :func:`~._arms.grouped`), and the
    operator's order rules within it."""
    arms = sorted(name for name in groups if name is not None)
    if not arms:
        return laid.first_of(groups.get(None, ()))
    shares: Shares = {}
    for arm, share in zip(arms, of_weights([names[arm] for arm in arms]), strict=True):
        if share > 0:
            for index, part in laid.first_of(groups[arm]).items():
                shares[index] = share * part
    return shares


def best_by(laid: Layout, fit: Sequence[int], key: Callable[[int], Any]) -> Mapping[int, float]:
    """Who stands first where the smallest ``key`` wins and the operator's order decides between equals."""
    keys = [key(index) for index in fit]
    if not keys:
        return {}
    least = min(keys)
    return laid.first_of([index for index, one in zip(fit, keys, strict=True) if one == least])


def explored(best: Mapping[int, float], pools: Sequence[tuple[float, Mapping[int, float]]]) -> Shares:
    """``best`` first, but for what ``pools`` take from it: a (share of requests, by what weight each gets it), of which whoever would
    stand first has no part."""
    shares = dict(best)
    for share, weights in pools:
        total = sum(weights.values())
        # Of each that could be best, what it gives per weight of the others; who is alone in a pool keeps its own.
        gives = {first: part * share / left for first, part in best.items() if (left := total - weights.get(first, 0.0)) > 1e-12}
        given = sum(gives.values())
        for first, each in gives.items():
            shares[first] -= each * (total - weights.get(first, 0.0))
        for index, weight in weights.items():
            shares[index] = shares.get(index, 0.0) + weight * (given - gives.get(index, 0.0))
        for first in [one for one in best if one not in gives]:
            others = [index for index in weights if index != first]
            if others:  # nobody has a weight: the first in line has it, as in a race
                shares[first] -= best[first] * share
                shares[others[0]] = shares.get(others[0], 0.0) + best[first] * share
    return shares


def spelled(shares: Mapping[int, float], count: int) -> tuple[float, ...]:
    """One probability per candidate."""
    found = [0.0] * count
    for index, share in shares.items():
        found[index] = share
    return tuple(found)
