"""A field is set at a glance only where that is the same as setting it with care."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core.json import edit_object, with_text

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["model", '"model":"x"', "\\", '"'])
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts | st.just("model"), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(_texts, _values, max_size=4), _values, _texts, st.integers(0, 4), st.booleans())
@settings(max_examples=300, deadline=None)
def test_at_a_glance_or_not_at_all(fields: dict[str, Any], model: Any, text: str, place: int, spaced: bool) -> None:
    items = [(name, value) for name, value in fields.items() if name != "model"]
    items.insert(place, ("model", model))
    body = msgspec.json.encode(dict(items))
    if spaced:
        body = msgspec.json.format(body, indent=1)
    found = with_text(body, "model", text)
    if found is not None:
        assert msgspec.json.decode(found) == msgspec.json.decode(edit_object(body, {"model": text}))
        assert len(found) - len(msgspec.json.encode(text)) == len(body) - len(msgspec.json.encode(model))


def test_the_usual_request_is_set_at_a_glance() -> None:
    assert with_text(b'{"messages":[{"content":"\\"model\\":\\"a\\""}],"model":"a","n":1}', "model", "b") == (
        b'{"messages":[{"content":"\\"model\\":\\"a\\""}],"model":"b","n":1}'
    )
    assert with_text(b'{"model":"a","metadata":{"model":"a"}}', "model", "b") is None
    assert with_text(b'{"\\u006dodel":"a","x":"model"}', "model", "b") is None
