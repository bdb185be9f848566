"""The operator's own order, which every strategy falls back to."""

from __future__ import annotations

from collections.abc import Sequence

from ._affinity import raced, seed_of
from ._base import Candidate, RequestFacts
from ._layout import Layout, layout


def by_priority(candidates: Sequence[Candidate], fit: Sequence[int], facts: RequestFacts, draw: float) -> list[int]:
    """``fit`` by provider priority, then the model's position. Models of equal rank share by weight, as
    prompt-cache affinity or else ``draw`` decides; the keys of one model stand together and share in the same way."""
    return in_order(layout(candidates, fit), facts, draw)


def in_order(laid: Layout, facts: RequestFacts, draw: float) -> list[int]:
    """:func:`by_priority` of what is laid out."""
    order: list[int] = []
    own = b""
    for models in laid.ranks:
        if len(models) > 1:
            groups = {group[0]: (group, keys) for _, group, keys in models}
            heads = raced(list(groups), [weight for weight, _, _ in models], laid.identities, seed_of(facts, draw, "models"))
        else:
            groups = {}
            heads = [models[0][1][0]]
        for head in heads:
            group, keys = groups[head] if groups else models[0][1:]
            if len(group) == 1:
                order.append(head)
                continue
            own = own or seed_of(facts, draw, "")
            order += raced(group, keys, laid.identities, own)
    return order
