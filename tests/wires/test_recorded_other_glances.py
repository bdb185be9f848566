"""Recorded answers of Anthropic and Google, counted at a glance as they are read in full."""

from __future__ import annotations

import pytest

from llm_gateway.wires import glances

from . import recorded
from .test_other_glances import CLAUDE, GEMINI, in_full

pytestmark = recorded.mark


@pytest.mark.parametrize(("wire", "provider", "kind"), [(CLAUDE, "anthropic", "messages"), (GEMINI, "gemini", "generate")])
def test_recorded_answers_are_counted_as_they_are_read(wire: str, provider: str, kind: str) -> None:
    answers = [exchange.body_bytes for exchange in recorded.load(provider, kind) if exchange.status == 200]
    counted = [(body, found) for body in answers if (found := glances.get(wire)(body)) is not None]
    assert counted
    assert all(found == in_full(wire, body) for body, found in counted)
