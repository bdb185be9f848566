"""Arms: groups of candidates between which traffic is shared. An arm is a provider, or a model that is named on its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ._affinity import place
from ._base import Candidate
from ._layout import Layout
from ._shares import first_by_arms, spelled


def arm_of(candidate: Candidate, names: Mapping[str, float]) -> str | None:
    """The name in ``names`` that ``candidate`` belongs to: its model's before its provider's; ``None`` for neither."""
    target = candidate.target
    forms = (f"{target.provider.slug}/{target.model.name}", target.model.name, f"{target.provider.slug}/{target.upstream_id}")
    return next((form for form in (*forms, target.provider.slug) if form in names), None)


class Shared(NamedTuple):
    """``arms``: of each candidate, ``None``: of none. ``p``: the probability of each to stand first."""

    arms: tuple[str | None, ...]
    p: tuple[float, ...]


def shared(laid: Layout, candidates: Sequence[Candidate], names: Mapping[str, float]) -> Shared:
    """Worked out once per catalogue and ``names``."""
    key = ("arms", *names.items())
    found: Shared | None = laid.notes.get(key)
    if found is None:
        arms = tuple([arm_of(candidate, names) for candidate in candidates])
        p = spelled(first_by_arms(laid, grouped(arms, laid.all), names), len(candidates))
        found = laid.note(key, Shared(arms, p))
    return found


def grouped(arms: Sequence[str | None], ordered: Sequence[int]) -> dict[str | None, list[int]]:
    """``ordered`` split by arm, each arm in that order; under ``None`` what belongs to no arm."""
    groups: dict[str | None, list[int]] = {}
    for index in ordered:
        groups.setdefault(arms[index], []).append(index)
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
