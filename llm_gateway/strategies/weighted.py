"""Weighted: every provider or model gets its share of the traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._arms import drawn, grouped, shared
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._layout import layout
from ._order import in_order
from ._schema import Flag, Setting, Shares, read


class Weighted:
    """Draws an arm by weight; the others follow as fallbacks in a weighted order, then what has no weight in the operator's order.

    Prompt-cache affinity decides only between keys of one model: were it to choose the arm, one long system prompt would send all
    traffic to one of them.
    """

    name = "weighted"
    title = "Weighted shares"
    summary = "Traffic is shared by the weights you set for providers or models."
    settled = True
    schema: tuple[Setting, ...] = (
        Shares("weights", "Each gets its weight's part of the requests. Empty: the weights of the providers themselves."),
        Flag("sticky", False, "A caller who names a session or a user stays with the same one."),
    )

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """``weights``: names to weights, empty: the providers' own; ``sticky``: a caller stays with its arm."""
        return read(self.schema, settings, self.name)

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        names = settings.get("weights") or {c.target.provider.slug: float(c.target.provider.weight) for c in candidates}
        laid = layout(candidates, fit)
        known = shared(laid, candidates, names)
        groups = grouped(known.arms, in_order(laid, facts, draw))
        arms = drawn(names, facts.sticky if settings.get("sticky") else "", draw)
        order = [index for arm in (*arms, None) for index in groups.get(arm, ())]
        scores = tuple([{"arm": arm, "weight": names.get(arm or "", 0.0)} for arm in known.arms])
        note = f"{arms[0]} was drawn by weight." if arms else ""
        return Ranking(order=tuple(order), scores=scores, skipped=skipped, note=note, p=known.p)


strategies.add(Weighted.name, Weighted())
