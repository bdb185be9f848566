"""Each format says how its stream ends, and its facets show what it has and nothing else."""

from __future__ import annotations

import pytest

from llm_gateway.core.events import Done
from llm_gateway.wires import counters, embedders, formats, glances, limits, menders, wires


@pytest.mark.parametrize("name", [name for name, one in formats.items() if one.wire is not None and one.wire.end_mark])
def test_a_wire_s_own_decoder_reads_its_end_mark_as_the_end(name: str) -> None:
    wire = wires.get(name)
    decoder = wire.stream_decoder()
    frames = [*decoder.feed(wire.end_mark), *decoder.close()]
    assert any(isinstance(event, Done) for frame in frames for event in frame.events)


def test_a_facet_has_only_what_its_formats_have() -> None:
    assert set(wires) == {name for name, one in formats.items() if one.wire is not None}
    assert set(wires) == set(limits) < set(formats)
    assert set(menders) == {"openai_chat"}
    assert set(glances) == set(wires) - {"openai_responses"}
    assert "anthropic_messages" in counters
    assert "anthropic_messages" not in embedders
    with pytest.raises(KeyError, match="no mender named 'gemini_generate'; known: openai_chat"):
        menders.get("gemini_generate")
