"""The operator's own order, which every strategy falls back to."""

from __future__ import annotations

from collections.abc import Sequence

from ._affinity import spread
from ._base import Candidate, RequestFacts


def by_priority(candidates: Sequence[Candidate], fit: Sequence[int], facts: RequestFacts, draw: float) -> list[int]:
    """``fit`` by provider priority, then the model's position. Models of equal rank share by weight, as
    prompt-cache affinity or else ``draw`` decides; the keys of one model stand together and share in the same way."""
    ranks: dict[tuple[int, int], dict[tuple[int, str, str], list[int]]] = {}
    for index in fit:
        target = candidates[index].target
        rank = (target.provider.priority, target.model.position)
        ranks.setdefault(rank, {}).setdefault((target.provider.id, target.model.name, target.upstream_id), []).append(index)
    order: list[int] = []
    for _, models in sorted(ranks.items()):
        heads = [group[0] for group in models.values()]
        shares = [float(candidates[index].target.provider.weight) for index in heads]
        groups = {group[0]: group for group in models.values()}
        for head in spread(heads, shares, candidates, facts, draw, "models"):
            group = groups[head]
            weights = [float(candidates[index].target.credential.weight) for index in group]
            order += spread(group, weights, candidates, facts, draw)
    return order
