"""The exact probability of each candidate being first: over the draw, and over whom the hashes of ``_affinity`` and ``_arms`` fall on.

Both are exponential races: of those that run, each wins with its weight's share, whoever else was entered. No simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from ._arms import arm_of
from ._base import Candidate

Shares = dict[int, float]


def of_weights(weights: Sequence[float]) -> list[float]:
    """Who wins the race; with no weight above 0 the first in line does."""
    total = sum(weight for weight in weights if weight > 0)
    if total <= 0:
        return [1.0 if place == 0 else 0.0 for place in range(len(weights))]
    return [max(weight, 0.0) / total for weight in weights]


def first_by_priority(candidates: Sequence[Candidate], among: Collection[int]) -> Shares:
    """Who of ``among`` stands first in :func:`~._order.by_priority`."""
    if not among:
        return {}
    ranks = {index: (candidates[index].target.provider.priority, candidates[index].target.model.position) for index in among}
    best = min(ranks.values())
    models: dict[tuple[int, str, str], list[int]] = {}
    for index in sorted(among):
        if ranks[index] == best:
            target = candidates[index].target
            models.setdefault((target.provider.id, target.model.name, target.upstream_id), []).append(index)
    shares: Shares = {}
    groups = list(models.values())
    heads = of_weights([float(candidates[group[0]].target.provider.weight) for group in groups])
    for head, group in zip(heads, groups, strict=True):
        keys = of_weights([float(candidates[index].target.credential.weight) for index in group])
        shares.update((index, head * key) for index, key in zip(group, keys, strict=True) if head * key > 0)
    return shares


def first_by_arms(candidates: Sequence[Candidate], fit: Sequence[int], names: Mapping[str, float]) -> Shares:
    """Who stands first where an arm is drawn by weight among those that have a candidate, and the operator's order rules within it."""
    groups: dict[str | None, list[int]] = {}
    for index in fit:
        groups.setdefault(arm_of(candidates[index], names), []).append(index)
    arms = sorted(name for name in groups if name is not None)
    if not arms:
        return first_by_priority(candidates, groups.get(None, ()))
    shares: Shares = {}
    for arm, share in zip(arms, of_weights([names[arm] for arm in arms]), strict=True):
        if share > 0:
            shares.update((index, share * part) for index, part in first_by_priority(candidates, groups[arm]).items())
    return shares


def best_by(candidates: Sequence[Candidate], fit: Sequence[int], key: Callable[[int], object]) -> Shares:
    """Who stands first where the smallest ``key`` wins and the operator's order decides between equals."""
    if not fit:
        return {}
    least = min(fit, key=key)  # type: ignore[arg-type]
    return first_by_priority(candidates, [index for index in fit if key(index) == key(least)])


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
    return tuple(shares.get(index, 0.0) for index in range(count))
