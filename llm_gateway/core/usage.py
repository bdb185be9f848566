"""Token counts in disjoint classes.

``input_tokens`` never contains cache, audio or image tokens, ``output_tokens`` never audio or
images; ``reasoning_tokens`` alone is a part of ``output_tokens`` (providers bill it as output).
Unknown is ``None``; 0 is a provider's own 0.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

# Beyond any real request: a larger number in a usage block is an error and must not be billed.
MAX_TOKENS = 100_000_000
# The classes that make up the prompt and the answer.
PROMPT = (
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("audio_input_tokens", "image_input_tokens"),
)
COMPLETION = ("output_tokens", "audio_output_tokens", "image_output_tokens")


class UsageSource(StrEnum):
    REPORTED = "reported"
    ESTIMATED = "estimated"


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one response used. Counts are tokens; ``web_searches`` counts calls of provider-side
    tools billed per call."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    web_searches: int | None = None
    service_tier: str | None = None
    source: UsageSource = UsageSource.REPORTED

    @property
    def prompt_tokens(self) -> int:
        """All input tokens; price bands and context windows count these."""
        return (
            (self.input_tokens or 0)
            + (self.cache_read_tokens or 0)
            + (self.cache_write_tokens or 0)
            + (self.cache_write_1h_tokens or 0)
            + (self.audio_input_tokens or 0)
            + (self.image_input_tokens or 0)
        )

    @property
    def completion_tokens(self) -> int:
        return (self.output_tokens or 0) + (self.audio_output_tokens or 0) + (self.image_output_tokens or 0)

    def without_output(self) -> Usage:
        """For calls that generate nothing, such as embeddings: a missing output count is 0, and a
        lone total is input."""
        lone = self.completion_tokens if all(getattr(self, name) is None for name in PROMPT) else None
        return msgspec.structs.replace(
            self,
            input_tokens=lone or self.input_tokens,
            output_tokens=0,
            audio_output_tokens=None,
            image_output_tokens=None,
            reasoning_tokens=None,
        )

    def later(self, other: Usage) -> Usage:
        """Merge a later report of the same response: its known fields win (Anthropic and Gemini
        report cumulatively)."""
        newer = {name: value for name in self.__struct_fields__ if (value := getattr(other, name)) is not None}
        return msgspec.structs.replace(self, **newer)


def count(value: Any) -> int | None:
    """A token count out of a provider's usage block: a non-negative integer in reason, else
    ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= MAX_TOKENS:  # NaN fails both
        return None
    return int(value)


def less(total: int | None, *parts: int | None) -> int | None:
    """``total`` without its parts, never below 0; ``None`` stays ``None``."""
    if total is None:
        return None
    for part in parts:
        total -= part or 0
    return max(0, total)
