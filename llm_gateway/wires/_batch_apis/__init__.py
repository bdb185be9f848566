"""The batch APIs of providers, spoken to as a client. Pure: they describe calls and read answers;
who makes the calls is elsewhere."""

from __future__ import annotations

from ._base import BatchApi, Line, NotUnderstood, Shard, Step, Told, ToldLine
from .anthropic import AnthropicBatches
from .gemini import GeminiBatches
from .openai import OpenAIBatches

__all__ = [
    "AnthropicBatches", "BatchApi", "GeminiBatches", "Line", "NotUnderstood", "OpenAIBatches", "Shard", "Step", "Told", "ToldLine",
]  # fmt: skip
