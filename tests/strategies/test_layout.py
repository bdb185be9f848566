"""What is worked out once per catalogue is that of the list that is asked about, and goes with its catalogue."""

from __future__ import annotations

import msgspec

from llm_gateway.core.catalog import Snapshot
from llm_gateway.engine.resolve import _Known
from llm_gateway.strategies import strategies
from llm_gateway.strategies._layout import _known, layout

from .build import candidate, facts


def test_each_list_has_its_own_layout_and_equal_lists_share_it() -> None:
    three = [candidate(slug, "m", priority=priority) for slug, priority in (("a", 10), ("b", 10), ("c", 20))]
    assert layout(three, [0, 1, 2]) is layout(list(three), [0, 1, 2])
    assert layout(three, [0, 1, 2]).first_of([0, 1, 2]) == {0: 0.5, 1: 0.5}
    assert layout(three, [2]).first_of([2]) == {2: 1.0}
    assert layout(three, [1, 2]).first_of([1, 2]) == {1: 1.0}
    enterprise = strategies.get("enterprise")
    small = [candidate(slug, "m", priority=10, context_window=window) for slug, window in (("a", 700), ("b", 9000))]
    assert enterprise.order(small, facts(prompt_tokens=1), {}, 0.1).p != enterprise.order(small, facts(prompt_tokens=900), {}, 0.1).p
    orders = [enterprise.order(small, facts(prompt_tokens=tokens), {}, 0.1).order for tokens in (1, 900)]
    assert [sorted(order) for order in orders] == [[0, 1], [1]], "what does not fit is in no order"
    heavier = [msgspec.structs.replace(one, target=_heavier(one)) if place == 0 else one for place, one in enumerate(three)]
    assert layout(heavier, [0, 1]).first_of([0, 1]) == {0: 0.75, 1: 0.25}, "another provider row is another layout"


def test_a_new_catalogue_lets_go_of_the_last_ones_keys() -> None:
    layout([candidate("a", "m")], [0])
    assert _known
    empty = Snapshot(
        version=1, providers={}, credentials={}, models={}, aliases={}, strategies={}, active_strategy="enterprise", clients={}
    )
    _Known().of(empty)
    assert not _known


def _heavier(one: object) -> object:
    target = one.target  # type: ignore[attr-defined]
    return msgspec.structs.replace(target, provider=msgspec.structs.replace(target.provider, weight=3))
