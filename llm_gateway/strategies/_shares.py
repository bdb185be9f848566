"""The exact probability of each candidate being first: over the draw, and over whom the hashes of ``_affinity`` and ``_arms`` fall on.

Both are exponential races: of those that run, each wins with its weight's share, whoever else was entered. No simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._base import Candidate

Shares = dict[int, float]


def of_weights(weights: Sequence[float]) -> list[float]:
    """Who wins the race; with no weight above 0 the first in line does."""
    total = sum(weights)
    if total <= 0:
        return [1.0 if place == 0 else 0.0 for place in range(len(weights))]
    return [weight / total for weight in weights]


def first_by_priority(candidates: Sequence[Candidate], among: Sequence[int]) -> Shares:
    """Who of ``among`` stands first in :func:`~._order.by_priority`."""
    if len(among) == 1:
        return {among[0]: 1.0}
    best: tuple[int, int] | None = None
    models: dict[tuple[int, str, str], list[int]] = {}
    for index in sorted(among):
        target = candidates[index].target
        provider, model = target.provider, target.model
        rank = (provider.priority, model.position)
        if best is None or rank < best:
            best = rank
            models.clear()
        if rank == best:
            models.setdefault((provider.id, model.name, target.upstream_id), []).append(index)
    shares: Shares = {}
    heads = of_weights([candidates[group[0]].target.provider.weight for group in models.values()])
    for head, group in zip(heads, models.values(), strict=True):
        if len(group) == 1:
            shares[group[0]] = head
            continue
        keys = of_weights([candidates[index].target.credential.weight for index in group])
        for index, key in zip(group, keys, strict=True):
            shares[index] = head * key
    return shares


def first_by_arms(candidates: Sequence[Candidate], groups: Mapping[str | None, Sequence[int]], names: Mapping[str, float]) -> Shares:
    """Who stands first where an arm is drawn by weight among those that have a candidate (``groups``, :func:`~._arms.grouped`), and the
    operator's order rules within it."""
    arms = sorted(name for name in groups if name is not None)
    if not arms:
        return first_by_priority(candidates, groups.get(None, ()))
    shares: Shares = {}
    for arm, share in zip(arms, of_weights([names[arm] for arm in arms]), strict=True):
        if share > 0:
            for index, part in first_by_priority(candidates, groups[arm]).items():
                shares[index] = share * part
    return shares


def best_by(candidates: Sequence[Candidate], fit: Sequence[int], key: Callable[[int], Any]) -> Shares:
    """Who stands first where the smallest ``key`` wins and the operator's order decides between equals."""
    keys = [key(index) for index in fit]
    if not keys:
        return {}
    least = min(keys)
    return first_by_priority(candidates, [index for index, one in zip(fit, keys, strict=True) if one == least])


def explored(best: Shares, others: Callable[[int], Sequence[tuple[float, Mapping[int, float]]]]) -> Shares:
    """``best`` first, but for what is taken from it: ``others`` says of each that could be best the (share of requests, who gets it by
    what weight)."""
    shares: Shares = {}
    for first, part in best.items():
        left = part
        for share, weights in others(first):
            for index, won in zip(weights, of_weights(list(weights.values())), strict=True):
                shares[index] = shares.get(index, 0.0) + part * share * won
            left -= part * share
        shares[first] = shares.get(first, 0.0) + left
    return shares


def spelled(shares: Mapping[int, float], count: int) -> tuple[float, ...]:
    """One probability per candidate."""
    found = [0.0] * count
    for index, share in shares.items():
        found[index] = share
    return tuple(found)
