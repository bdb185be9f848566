"""What a list of targets says whatever is asked: who shares a rank, a model or a key, and by what weights. Worked out once per catalogue.

A request's candidates differ from the next one's in what was measured and estimated; their providers, models and keys are the same values
until the catalogue changes. What is remembered keeps those values alive, so that their ids stay their own; a new catalogue clears it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._base import Candidate

MOST = 512
MOST_NOTES = 64


class Layout:
    """Of some of a list's candidates. ``ranks``: by provider priority and model position, in each the models as (provider weight, their
    candidates, the weights of their keys). ``identities``: what marks a deployment across processes and restarts, for a provider's cache
    belongs to key and model. ``all``: whom it is of. ``notes``: what strategies worked out, by what from."""

    __slots__ = ("_alive", "all", "identities", "notes", "ranks")

    def __init__(self, candidates: Sequence[Candidate], among: Sequence[int]) -> None:
        self._alive = [(one.target.provider, one.target.model, one.target.credential) for one in candidates]
        self.identities = [f"{one.target.credential.id}/{one.target.upstream_id}".encode("utf-8", "surrogatepass") for one in candidates]
        ranks: dict[tuple[int, int], dict[tuple[int, str, str], list[int]]] = {}
        for index in among:
            target = candidates[index].target
            rank = (target.provider.priority, target.model.position)
            ranks.setdefault(rank, {}).setdefault((target.provider.id, target.model.name, target.upstream_id), []).append(index)
        self.ranks = [
            [
                (float(candidates[group[0]].target.provider.weight), group, [float(candidates[i].target.credential.weight) for i in group])
                for group in models.values()
            ]
            for _, models in sorted(ranks.items())
        ]
        self.all = tuple(among)
        self.notes: dict[Any, Any] = {}

    def first_of(self, among: Sequence[int]) -> Mapping[int, float]:
        """Who of ``among`` stands first in the operator's order, with what probability. The result is shared: nobody changes it."""
        if len(among) == 1:
            return {among[0]: 1.0}
        key = "first", tuple(sorted(among))
        found: Mapping[int, float] | None = self.notes.get(key)
        return found or self._kept(key, set(among))

    def _kept(self, key: Any, among: set[int]) -> Mapping[int, float]:
        found = self._first_of(among)
        self.note(key, found)
        return found

    def _first_of(self, among: set[int]) -> dict[int, float]:
        for models in self.ranks:
            left = [
                (weight, [(index, own) for index, own in zip(group, keys, strict=True) if index in among]) for weight, group, keys in models
            ]
            left = [(weight, group) for weight, group in left if group]
            if left:
                shares = of_weights([weight for weight, _ in left])
                return {
                    index: share * part
                    for share, (_, group) in zip(shares, left, strict=True)
                    for (index, _), part in zip(group, of_weights([own for _, own in group]), strict=True)
                }
        return {}

    def note(self, key: Any, value: Any) -> Any:
        """Keep ``value`` and return it."""
        if len(self.notes) >= MOST_NOTES:
            self.notes.clear()
        self.notes[key] = value
        return value


_known: dict[tuple[Any, ...], Layout] = {}


def layout(candidates: Sequence[Candidate], among: Sequence[int]) -> Layout:
    parts: list[Any] = [*among]
    for one in candidates:
        target = one.target
        parts += (id(target.provider), id(target.model), id(target.credential), target.upstream_id)
    key = tuple(parts)
    found = _known.get(key)
    if found is None:
        if len(_known) >= MOST:
            _known.clear()
        found = _known[key] = Layout(candidates, among)
    return found


def forget_layouts() -> None:
    """Let go of the last catalogue."""
    _known.clear()


def of_weights(weights: Sequence[float]) -> list[float]:
    """Who wins a race; with no weight above 0 the first in line does."""
    total = sum(weights)
    if total <= 0:
        return [1.0 if place == 0 else 0.0 for place in range(len(weights))]
    return [weight / total for weight in weights]
