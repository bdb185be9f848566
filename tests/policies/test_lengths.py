"""How long a model's tokens are, as its own counts tell."""

from __future__ import annotations

import pytest

from llm_gateway.core.usage import Usage
from llm_gateway.policies.lengths import MEMORY, UNKNOWN, learnt


def test_nothing_known_is_the_cautious_guess() -> None:
    assert (UNKNOWN.chars_per_token, UNKNOWN.prompt_factor) == (3.0, 1.0)
    assert learnt(UNKNOWN, Usage(input_tokens=5, output_tokens=3), 30, 10).chars_per_token == 3.0


def test_a_few_answers_tell_the_length() -> None:
    found = UNKNOWN
    for _ in range(3):
        found = learnt(found, Usage(input_tokens=80, cache_read_tokens=20, output_tokens=100), 420, 160)
    assert found.chars_per_token == pytest.approx(4.2)
    assert found.prompt_factor == pytest.approx(100 / 160)


def test_hidden_tokens_and_missing_counts_tell_nothing() -> None:
    hidden = (Usage(output_tokens=900, reasoning_tokens=880), Usage(output_tokens=900, audio_output_tokens=500))
    for usage in (*hidden, Usage(output_tokens=0), Usage()):
        assert learnt(UNKNOWN, usage, 40, 100) == UNKNOWN


def test_absurd_counts_do_not_take_an_estimate_far() -> None:
    found = learnt(UNKNOWN, Usage(input_tokens=10**6, output_tokens=10**6), 1, 1)
    assert (found.chars_per_token, found.prompt_factor) == (1.0, 2.0)
    found = learnt(UNKNOWN, Usage(input_tokens=60, output_tokens=60), 10**7, 10**7)
    assert (found.chars_per_token, found.prompt_factor) == (8.0, 0.25)


def test_what_a_model_does_now_outweighs_what_it_did() -> None:
    found = learnt(UNKNOWN, Usage(output_tokens=int(MEMORY) + 1), 3 * int(MEMORY), 0)
    for _ in range(100):
        found = learnt(found, Usage(output_tokens=10_000), 50_000, 0)
    assert found.chars_per_token == pytest.approx(5.0, rel=0.01)
    assert found.tokens < 3 * MEMORY
