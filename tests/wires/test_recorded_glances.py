"""Recorded chat answers, counted at a glance as they are read in full."""

from __future__ import annotations

from llm_gateway.wires import glances

from . import recorded
from .test_glances import CHAT, check

pytestmark = recorded.mark

ANSWERS = [
    exchange
    for provider in ("openai", "openai-compatible", "fireworks")
    for exchange in recorded.load(provider, "chat")
    if exchange.status == 200
]


def test_recorded_answers_are_counted_as_they_are_read() -> None:
    counted = [exchange for exchange in ANSWERS if check(exchange.body_bytes) is not None]
    assert len(counted) * 3 > len(ANSWERS), "most of a day's answers are plain"
    assert glances.get(CHAT)(b"") is None
