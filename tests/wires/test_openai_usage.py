"""Usage blocks in the many spellings of hosts: classes that do not overlap, and whose sums are the prompt and the answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.core.usage import Usage
from llm_gateway.wires._openai.usage import decode_usage, encode_chat_usage, encode_responses_usage

READ = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("", "cached_tokens"),
    ("", "prompt_cache_hit_tokens"),
    ("", "cache_read_input_tokens"),
    ("", "num_cached_tokens"),
)
WRITTEN = (
    ("prompt_tokens_details", "cache_write_tokens"),
    ("prompt_tokens_details", "cache_creation_tokens"),
    ("prompt_tokens_details", "cache_creation_input_tokens"),
    ("", "cache_creation_input_tokens"),
)
counts = st.integers(0, 50_000)


def put(block: dict[str, Any], place: tuple[str, str], value: int) -> None:
    holder, name = place
    (block.setdefault(holder, {}) if holder else block)[name] = value


@pytest.mark.parametrize(
    ("block", "usage"),
    [
        # A proxy in front of Claude: the total holds what the prompt count leaves out.
        (
            {
                "prompt_tokens": 368,
                "completion_tokens": 19,
                "total_tokens": 10923,
                "cache_read_input_tokens": 10536,
                "cache_creation_input_tokens": 0,
            },
            Usage(input_tokens=368, output_tokens=19, cache_read_tokens=10536, cache_write_tokens=0),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 19,
                "total_tokens": 1022,
                "cache_read_input_tokens": 900,
                "cache_creation_input_tokens": 100,
            },
            Usage(input_tokens=3, output_tokens=19, cache_read_tokens=900, cache_write_tokens=100),
        ),
        # The total adds up only what was read.
        (
            {
                "prompt_tokens": 203,
                "completion_tokens": 10,
                "total_tokens": 1113,
                "cache_read_input_tokens": 900,
                "cache_creation_input_tokens": 100,
            },
            Usage(input_tokens=103, output_tokens=10, cache_read_tokens=900, cache_write_tokens=100),
        ),
        # LiteLLM: everything inside, under both names, and written apart for an hour.
        (
            {
                "prompt_tokens": 1000,
                "completion_tokens": 7,
                "total_tokens": 1007,
                "prompt_tokens_details": {
                    "cached_tokens": 100,
                    "cache_creation_tokens": 800,
                    "cache_creation_token_details": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 500},
                },
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 800,
            },
            Usage(input_tokens=100, output_tokens=7, cache_read_tokens=100, cache_write_tokens=300, cache_write_1h_tokens=500),
        ),
        # A spelling that is not used is filled with 0.
        (
            {"prompt_tokens": 50, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 20},
            Usage(input_tokens=30, output_tokens=1, cache_read_tokens=20),
        ),
        # Only the two halves of the prompt are told.
        (
            {"completion_tokens": 2, "prompt_cache_hit_tokens": 20, "prompt_cache_miss_tokens": 5},
            Usage(input_tokens=5, output_tokens=2, cache_read_tokens=20),
        ),
        # Anthropic's own block.
        (
            {"input_tokens": 30, "output_tokens": 2, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 4},
            Usage(input_tokens=30, output_tokens=2, cache_read_tokens=20, cache_write_tokens=4),
        ),
        # More than fits, named as Anthropic names it, and a total that forgets it.
        (
            {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cache_read_input_tokens": 900},
            Usage(input_tokens=3, output_tokens=2, cache_read_tokens=900),
        ),
        # Cached tokens and thoughts are both left out.
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "total_tokens": 945,
                "cache_read_input_tokens": 900,
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            Usage(input_tokens=3, output_tokens=42, cache_read_tokens=900, reasoning_tokens=40),
        ),
        # xAI leaves the thoughts out; that as many tokens were cached is chance.
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 2,
                "total_tokens": 166,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 64},
            },
            Usage(input_tokens=36, output_tokens=66, cache_read_tokens=64, reasoning_tokens=64),
        ),
        # Google's compatible API leaves thoughts out and does not name them.
        (
            {"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 150, "prompt_tokens_details": {"cached_tokens": 64}},
            Usage(input_tokens=36, output_tokens=50, cache_read_tokens=64),
        ),
    ],
)
def test_every_spelling_of_a_cached_prompt_is_read(block: dict[str, Any], usage: Usage) -> None:
    assert decode_usage(block) == usage


@given(st.sampled_from(READ), st.sampled_from(WRITTEN), counts, counts, counts, counts, st.booleans(), st.booleans())
def test_cached_tokens_are_told_from_fresh_ones_inside_and_beside_the_prompt_count(
    read_at: tuple[str, str], written_at: tuple[str, str], fresh: int, read: int, written: int, answer: int, beside: bool, totalled: bool
) -> None:
    """With a total, a count beside the prompt is told from one inside; without one, cached tokens are inside."""
    prompt = fresh if beside and totalled else fresh + read + written
    block: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": answer}
    if totalled:
        block["total_tokens"] = fresh + read + written + answer
    put(block, read_at, read)
    # One of two details objects is read: hosts send one.
    put(block, written_at if written_at[0] == "" or read_at[0] == "" else (read_at[0], written_at[1]), written)
    told = decode_usage(block)
    assert told is not None
    assert (told.input_tokens, told.cache_read_tokens, told.cache_write_tokens) == (fresh, read, written)
    assert told.output_tokens == answer
    assert told.prompt_tokens == fresh + read + written


names = st.sampled_from([name for _, name in (*READ, *WRITTEN)] + ["audio_tokens", "image_tokens", "ephemeral_1h_input_tokens"])
parts = st.dictionaries(names, st.integers(0, 2000), max_size=5)


@given(parts, parts, parts, st.integers(0, 1000), st.integers(0, 1000), st.none() | st.integers(0, 4000))
def test_whatever_a_host_counts_the_classes_never_overlap(
    top: dict[str, int], details: dict[str, int], kept: dict[str, int], prompt: int, answer: int, total: int | None
) -> None:
    block = {**top, "prompt_tokens_details": details, "cache_creation": kept, "prompt_tokens": prompt, "completion_tokens": answer}
    told = decode_usage(block if total is None else block | {"total_tokens": total})
    assert told is not None
    cached = (told.cache_read_tokens or 0) + (told.cache_write_tokens or 0) + (told.cache_write_1h_tokens or 0)
    # All of the prompt count is somewhere, and what is more than it can only be cached.
    assert prompt <= told.prompt_tokens <= prompt + cached
    assert told.completion_tokens >= answer
    if total is not None and total >= prompt + answer:
        assert told.prompt_tokens + told.completion_tokens >= total
    # What callers are told adds up, too.
    for shown, whole in ((encode_chat_usage(told), "prompt_tokens"), (encode_responses_usage(told), "input_tokens")):
        inside = shown.get(f"{whole}_details") or {}
        assert sum(inside.values()) <= shown[whole]
        assert shown["total_tokens"] == told.prompt_tokens + told.completion_tokens
