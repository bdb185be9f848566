"""Lowest cost: the cheapest model that works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._order import by_priority
from ._settings import number, only
from ._shares import best_by, spelled
from ._stats import bounds

# One or two failures in a row happen to everybody.
FEW = 3
DEFAULTS: dict[str, float] = {"min_success_rate": 0.8}


class LowestCost:
    """Orders by what the request would cost at most; unpriced models come after all priced ones.

    A deployment that surely succeeds less often than ``min_success_rate`` goes behind the others: its failures cost time, and an answer
    that never comes is not cheap. "Surely" is the upper confidence bound: a few bad minutes suffice, a single failure does not.
    """

    name = "lowest-cost"
    title = "Lowest cost"
    summary = "The cheapest model that can do the request and is not failing answers."

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        only(settings, DEFAULTS, self.name)
        return {name: number(settings, name, default, 0, 1) for name, default in DEFAULTS.items()}

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        floor = settings.get("min_success_rate", DEFAULTS["min_success_rate"])
        standing = {index: place for place, index in enumerate(by_priority(candidates, fit, facts, draw))}

        def cheapness(index: int) -> tuple[bool, bool, int]:
            estimate = candidates[index].estimate_nusd
            return (_failing(candidates[index], floor), estimate is None, estimate or 0)

        scores = tuple({"estimate_nusd": c.estimate_nusd, "failing": _failing(c, floor)} for c in candidates)
        order = sorted(fit, key=lambda index: (cheapness(index), standing[index]))
        p = spelled(best_by(candidates, fit, cheapness), len(candidates))
        return Ranking(order=tuple(order), scores=scores, skipped=skipped, note="Ordered by the most this request can cost.", p=p)


def _failing(candidate: Candidate, floor: float) -> bool:
    return candidate.stats.requests >= FEW and bounds(candidate.stats)[1] < floor


strategies.add(LowestCost.name, LowestCost())
