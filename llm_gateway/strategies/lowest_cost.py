"""Lowest cost: the cheapest model that works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._layout import layout
from ._order import in_order
from ._schema import Number, Setting, read
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
    schema: tuple[Setting, ...] = (
        Number(
            "min_success_rate", DEFAULTS["min_success_rate"], 0, 1,
            "A model that surely succeeds less often than this goes behind all others, however cheap it is.", "share of requests",
        ),
    )  # fmt: skip

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return read(self.schema, settings, self.name)

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        floor = settings.get("min_success_rate", DEFAULTS["min_success_rate"])
        laid = layout(candidates, fit)
        failing = [_failing(candidate, floor) for candidate in candidates]
        cheapness = [
            (fails, candidate.estimate_nusd is None, candidate.estimate_nusd or 0)
            for candidate, fails in zip(candidates, failing, strict=True)
        ]
        scores = tuple([{"estimate_nusd": c.estimate_nusd, "failing": fails} for c, fails in zip(candidates, failing, strict=True)])
        # Sorting keeps the operator's order between equals.
        order = sorted(in_order(laid, facts, draw), key=cheapness.__getitem__)
        p = spelled(best_by(laid, fit, cheapness.__getitem__), len(candidates))
        return Ranking(order=tuple(order), scores=scores, skipped=skipped, note="Ordered by the most this request can cost.", p=p)


def _failing(candidate: Candidate, floor: float) -> bool:
    return candidate.stats.requests >= FEW and bounds(candidate.stats)[1] < floor


strategies.add(LowestCost.name, LowestCost())
