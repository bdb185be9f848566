"""Enterprise: the operator's order. The provider with the lowest priority number first, the others stand by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._affinity import spread
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting


class Enterprise:
    """Ranks by provider priority, then the model's position. Keys of the same model stand together, shared by weight."""

    name = "enterprise"
    title = "Enterprise (priority)"
    summary = "The best provider in your own order answers; the next one takes over when it cannot."

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        if settings:
            raise ValueError(f"The enterprise strategy has no settings; remove {', '.join(sorted(map(str, settings)))}.")
        return {}

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        scores = tuple({"priority": c.target.provider.priority, "position": c.target.model.position} for c in candidates)
        order = by_priority(candidates, fit, facts, draw)
        return Ranking(order=tuple(order), scores=scores, skipped=skipped, note="Ordered by provider priority, then model position.")


def by_priority(candidates: Sequence[Candidate], fit: Sequence[int], facts: RequestFacts, draw: float) -> list[int]:
    groups: dict[tuple[int, int, int, str, str], list[int]] = {}
    for index in fit:
        target = candidates[index].target
        rank = (target.provider.priority, target.model.position, target.provider.id, target.model.name, target.upstream_id)
        groups.setdefault(rank, []).append(index)
    order: list[int] = []
    for rank in sorted(groups):
        group = groups[rank]
        weights = [float(candidates[index].target.credential.weight) for index in group]
        order += spread(group, weights, candidates, facts.affinity, draw)
    return order


strategies.add(Enterprise.name, Enterprise())
