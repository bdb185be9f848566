"""Token counts, both ways.

``promptTokenCount`` contains the cached tokens, ``candidatesTokenCount`` does not contain the
thoughts; tool use adds its own prompt. A count that is 0 is left out.
https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core.usage import Usage, count, less
from llm_gateway.wires import _tiers

from .names import NAME


class UsageIn(msgspec.Struct, rename="camel"):
    prompt_token_count: Any = None
    cached_content_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None
    tool_use_prompt_token_count: Any = None
    total_token_count: Any = None
    prompt_tokens_details: Any = None
    cache_tokens_details: Any = None
    candidates_tokens_details: Any = None
    tool_use_prompt_tokens_details: Any = None
    service_tier: Any = None


def decode(block: UsageIn, web_searches: int | None = None) -> Usage | None:
    prompt, cached = count(block.prompt_token_count), count(block.cached_content_token_count)
    tool, thoughts = count(block.tool_use_prompt_token_count), count(block.thoughts_token_count)
    total, candidates = count(block.total_token_count), count(block.candidates_token_count)
    if prompt is None and total is None and candidates is None:
        return None
    if candidates is None:
        candidates = less(total, prompt, tool, thoughts)
    entered = None if prompt is None and tool is None else (prompt or 0) + (tool or 0)
    output = None if candidates is None and thoughts is None else (candidates or 0) + (thoughts or 0)
    # The classes are disjoint and their sum is the whole, whatever the details say: where they do
    # not tell which of the media came out of the cache, what is left of the prompt bounds them.
    cached = _within(cached, entered)
    audio_in = _within(_entered(block, "AUDIO"), less(entered, cached))
    image_in = _within(_entered(block, "IMAGE"), less(entered, cached, audio_in))
    audio_out = _within(_of(block.candidates_tokens_details, "AUDIO"), output)
    image_out = _within(_of(block.candidates_tokens_details, "IMAGE"), less(output, audio_out))
    return Usage(
        input_tokens=less(entered, cached, audio_in, image_in),
        output_tokens=less(output, audio_out, image_out),
        cache_read_tokens=cached,
        reasoning_tokens=thoughts,
        audio_input_tokens=audio_in,
        audio_output_tokens=audio_out,
        image_input_tokens=image_in,
        image_output_tokens=image_out,
        web_searches=web_searches,
        service_tier=block.service_tier if isinstance(block.service_tier, str) else None,
    )


def _within(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None else min(part, whole)


def searches(grounding: Any, model: str) -> int | None:
    """Google searches that are billed: each of them, up to the second generation one for the whole
    answer.

    https://ai.google.dev/gemini-api/docs/google-search#pricing
    """
    queries = grounding.get("webSearchQueries") if isinstance(grounding, dict) else None
    found = len(queries) if isinstance(queries, list) else 0
    return (min(found, 1) if model.startswith(("gemini-1", "gemini-2")) else found) or None


def _entered(block: UsageIn, modality: str) -> int | None:
    """What of the prompt and of the tools' prompt is of one modality and does not come out of the
    cache."""
    prompt, tool = _of(block.prompt_tokens_details, modality), _of(block.tool_use_prompt_tokens_details, modality)
    if prompt is None and tool is None:
        return None
    return (less(prompt or 0, _of(block.cache_tokens_details, modality)) or 0) + (tool or 0)


def _of(details: Any, modality: str) -> int | None:
    if not isinstance(details, list):
        return None
    found = [count(one.get("tokenCount")) for one in details if isinstance(one, dict) and one.get("modality") == modality]
    return sum(one or 0 for one in found) if found else None


def encode(usage: Usage) -> dict[str, Any]:
    """Cache writes have no class here and are part of the prompt."""
    prompt, thoughts = usage.prompt_tokens, usage.reasoning_tokens
    candidates = max(0, usage.completion_tokens - (thoughts or 0))
    block: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": candidates,
        "totalTokenCount": prompt + candidates + (thoughts or 0),
    }
    if usage.cache_read_tokens is not None:
        block["cachedContentTokenCount"] = usage.cache_read_tokens
    if thoughts is not None:
        block["thoughtsTokenCount"] = thoughts
    if details := _split(prompt, usage.audio_input_tokens, usage.image_input_tokens):
        block["promptTokensDetails"] = details
    if details := _split(candidates, usage.audio_output_tokens, usage.image_output_tokens):
        block["candidatesTokensDetails"] = details
    if (tier := _tiers.answered(NAME, usage.service_tier)) is not None:
        block["serviceTier"] = tier
    return block


def _split(total: int, audio: int | None, image: int | None) -> list[dict[str, Any]]:
    media = [{"modality": name, "tokenCount": n} for name, n in (("AUDIO", audio), ("IMAGE", image)) if n is not None]
    return [{"modality": "TEXT", "tokenCount": less(total, audio, image)}, *media] if media else []
