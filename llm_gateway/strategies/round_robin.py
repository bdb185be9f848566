"""Round robin: every model takes its turn.

A turn needs a counter, and a strategy has no memory: each request draws a model with equal chances, which evens out to the same shares
without workers having to agree on whose turn it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._arms import drawn
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._layout import layout
from ._order import in_order
from ._schema import Setting, read
from ._shares import spelled


class RoundRobin:
    name = "round-robin"
    title = "Round robin"
    summary = "Every model gets the same share of the traffic."
    settled = True
    schema: tuple[Setting, ...] = ()

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return read(self.schema, settings, self.name)

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        groups: dict[str, list[int]] = {}
        laid = layout(candidates, fit)
        for index in in_order(laid, facts, draw):
            target = candidates[index].target
            groups.setdefault(f"{target.provider.slug}/{target.upstream_id}", []).append(index)
        order = [index for arm in drawn(dict.fromkeys(groups, 1.0), "", draw) for index in groups[arm]]
        scores = tuple({"share": round(1 / len(groups), 4) if index in fit else 0.0} for index in range(len(candidates)))
        shares = {i: part / len(groups) for group in groups.values() for i, part in laid.first_of(group).items()}
        p = spelled(shares, len(candidates))
        return Ranking(order=tuple(order), scores=scores, skipped=skipped, note="Drawn with equal chances.", p=p)


strategies.add(RoundRobin.name, RoundRobin())
