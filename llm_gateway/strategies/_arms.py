"""Arms: groups of candidates between which traffic is shared. An arm is a provider, or a model that is named on its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ._affinity import place
from ._base import Candidate


def arm_of(candidate: Candidate, names: Mapping[str, float]) -> str | None:
    """The name in ``names`` that ``candidate`` belongs to: its model's before its provider's; ``None`` for neither."""
    target = candidate.target
    forms = (f"{target.provider.slug}/{target.model.name}", target.model.name, f"{target.provider.slug}/{target.upstream_id}")
    return next((form for form in (*forms, target.provider.slug) if form in names), None)


def grouped(candidates: Sequence[Candidate], ordered: Sequence[int], names: Mapping[str, float]) -> dict[str | None, list[int]]:
    """``ordered`` split by arm, each arm in that order; under ``None`` what belongs to no arm."""
    groups: dict[str | None, list[int]] = {}
    for index in ordered:
        groups.setdefault(arm_of(candidates[index], names), []).append(index)
    return groups


def drawn(names: Mapping[str, float], seed: str, draw: float) -> list[str]:
    """All arms in a weighted order: the same for the same ``seed``, else by ``draw``. An arm of weight 0 comes last, only as a fallback.

    Weighted rendezvous hashing, so that changing one arm's weight moves no caller between the others.
    """
    marker = seed or f"draw:{draw!r}"

    def key(name: str) -> tuple[float, str]:
        weight = names[name]
        return (-math.log(place(marker, name)) / weight if weight > 0 else math.inf, name)

    return sorted(names, key=key)
