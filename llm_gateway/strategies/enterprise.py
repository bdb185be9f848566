"""Enterprise: the operator's order. The provider with the lowest priority number first, the others stand by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._layout import layout
from ._order import in_order
from ._schema import Setting, read
from ._shares import spelled


class Enterprise:
    """Ranks by provider priority, then the model's position. Keys of the same model stand together, shared by weight;
    models of equal rank share by prompt-cache affinity."""

    name = "enterprise"
    title = "Enterprise (priority)"
    summary = "The best provider in your own order answers; the next one takes over when it cannot."
    settled = True
    schema: tuple[Setting, ...] = ()

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return read(self.schema, settings, self.name)

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        scores = tuple({"priority": c.target.provider.priority, "position": c.target.model.position} for c in candidates)
        laid = layout(candidates, fit)
        order = in_order(laid, facts, draw)
        p = spelled(laid.first_of(fit), len(candidates))
        return Ranking(order=tuple(order), scores=scores, skipped=skipped, note="Ordered by provider priority, then model position.", p=p)


strategies.add(Enterprise.name, Enterprise())
