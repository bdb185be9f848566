"""A model's characters per token, learnt from its reported counts; used to estimate an answer that
broke off. Pure.

A fixed number of characters per token is off by a third either way: English, code and Chinese
differ, and so do tokenizers.
"""

from __future__ import annotations

import msgspec

from llm_gateway.core.usage import Usage

from .hold import CHARS_PER_TOKEN

# Below so many tokens a count says more of rounding than of the tokenizer; above the second, older
# answers fade.
LEAST = 50.0
MEMORY = 50_000.0
_CHARS = (1.0, 8.0)
_FACTOR = (0.25, 2.0)


class Lengths(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over complete answers: ``chars`` generated and the ``tokens`` reported for them; prompt
    tokens as ``guessed`` beforehand and as ``counted`` by the provider."""

    chars: float = 0.0
    tokens: float = 0.0
    guessed: float = 0.0
    counted: float = 0.0

    @property
    def chars_per_token(self) -> float:
        return _within(self.chars / self.tokens, _CHARS) if self.tokens >= LEAST else float(CHARS_PER_TOKEN)

    @property
    def prompt_factor(self) -> float:
        """The factor for the gateway's estimate of a prompt."""
        return _within(self.counted / self.guessed, _FACTOR) if self.counted >= LEAST else 1.0


UNKNOWN = Lengths()


def learnt(lengths: Lengths, usage: Usage, chars: int, guessed: int) -> Lengths:
    """With one more complete answer, as its provider counted it. Hidden reasoning and audio have no
    text to compare with."""
    hidden = usage.reasoning_tokens or usage.audio_output_tokens
    keep = 0.5 if lengths.tokens > MEMORY or lengths.counted > MEMORY else 1.0
    spoken = not hidden and bool(usage.output_tokens) and chars > 0
    prompt_tokens = usage.prompt_tokens
    read = prompt_tokens > 0 and guessed > 0
    return Lengths(
        chars=lengths.chars * keep + (chars if spoken else 0),
        tokens=lengths.tokens * keep + (usage.output_tokens or 0 if spoken else 0),
        guessed=lengths.guessed * keep + (guessed if read else 0),
        counted=lengths.counted * keep + (prompt_tokens if read else 0),
    )


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
