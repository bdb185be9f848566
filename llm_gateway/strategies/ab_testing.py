"""A/B testing: two or more arms share the traffic, each caller stays with its arm, and the other arms stand by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import strategies
from ._arms import drawn, grouped, shared
from ._base import Candidate, Ranking, RequestFacts
from ._fit import fitting
from ._layout import layout
from ._order import in_order
from ._schema import Line, OneOf, Setting, Shares, about
from ._settings import flag, only

BY_KEY = "key"
UNITS = ("user", "conversation", BY_KEY)
ARMS = Shares("arms", "Two or more providers or models, and their parts of the callers. Empty: the two best providers, half and half.", 2)
STICKY = OneOf(
    "sticky",
    (
        (True, "the same session or user"),
        ("user", "the same user"),
        ("conversation", "the same conversation"),
        (BY_KEY, "the same client key"),
        (False, "nobody: each request is drawn alone"),
    ),
    "Who always gets the same one.",
)
SALT = Line("salt", "Any text; another one deals the callers anew.")


def unit_of(facts: RequestFacts, by: Any) -> str:
    """Whose requests stay together: by ``user``, ``conversation`` (its session, else what its prompts begin with) or ``key``; ``True``:
    session or user. Empty: this request is drawn alone."""
    if by == BY_KEY:
        return facts.client
    if by == "user":
        return facts.user
    if by == "conversation":
        return facts.sticky if facts.sticky and facts.sticky != facts.user else facts.affinity
    return facts.sticky if by else ""


def assigned(arms: Mapping[str, float], salt: str, unit: str, draw: float) -> str:
    """The arm of a unit, whoever can answer."""
    return drawn(arms, f"ab:{salt}:{unit}" if unit else "", draw)[0]


class AbTesting:
    """The assignment looks at all configured arms, not at those that can answer now, so an outage does not shuffle the callers: those of
    a sick arm are served by the next one and come back. ``scores`` name the arm of each candidate and whether it was the assigned one."""

    name = "ab-testing"
    title = "A/B testing"
    summary = "Traffic is split between two providers or models, half and half unless you say otherwise, to compare them fairly."
    settled = True
    schema: tuple[Setting, ...] = (ARMS, STICKY, SALT)

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """``arms``: names to weights, at least two above 0, empty: the two providers of best priority, half and half. ``sticky``: the same
        session or user gets the same arm; ``key``: all of a client key does; ``user``, ``conversation``: as experiments count. ``salt``:
        change it to deal the callers anew."""
        only(settings, {one.name: None for one in self.schema}, self.name)
        sticky = settings.get("sticky")
        if sticky not in UNITS:
            with about("sticky"):
                sticky = flag(settings, "sticky", True, or_else=BY_KEY)
        return {"arms": ARMS.read(settings), "sticky": sticky, "salt": SALT.read(settings)}

    def order(self, candidates: Sequence[Candidate], facts: RequestFacts, settings: Mapping[str, Any], draw: float) -> Ranking:
        fit, skipped = fitting(candidates, facts)
        arms = settings.get("arms") or _best_two(candidates)
        sticky = unit_of(facts, settings.get("sticky", True))
        seed = f"ab:{settings.get('salt', '')}:{sticky}" if sticky else ""
        turns = drawn(arms, seed, draw)
        laid = layout(candidates, fit)
        known = shared(laid, candidates, arms)
        groups = grouped(known.arms, in_order(laid, facts, draw))
        order = [index for arm in (*turns, None) for index in groups.get(arm, ())]
        first = turns[0] if turns else ""
        scores = tuple([{"arm": arm, "weight": arms.get(arm or "", 0.0), "assigned": arm == first} for arm in known.arms])
        note = f"Assigned to arm {turns[0]}{' for this caller' if sticky else ''}." if turns else ""
        return Ranking(order=tuple(order), scores=scores, skipped=skipped, note=note, p=known.p)


def _best_two(candidates: Sequence[Candidate]) -> dict[str, float]:
    providers = {c.target.provider.slug: (c.target.provider.priority, c.target.provider.id) for c in candidates}
    return dict.fromkeys(sorted(providers, key=lambda slug: providers[slug])[:2], 50.0)


strategies.add(AbTesting.name, AbTesting())
