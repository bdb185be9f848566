"""Token counts, both ways.

``promptTokenCount`` contains the cached tokens, ``candidatesTokenCount`` does not contain the thoughts; tool use adds its own
prompt. A count that is 0 is left out. https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core.usage import Usage, count, less


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


def decode(block: UsageIn) -> Usage | None:
    prompt, cached = count(block.prompt_token_count), count(block.cached_content_token_count)
    tool, thoughts = count(block.tool_use_prompt_token_count), count(block.thoughts_token_count)
    total, candidates = count(block.total_token_count), count(block.candidates_token_count)
    if prompt is None and total is None and candidates is None:
        return None
    if candidates is None:
        candidates = less(total, prompt, tool, thoughts)
    audio_prompt, audio_cached = _audio(block.prompt_tokens_details), _audio(block.cache_tokens_details)
    audio_tool, audio_out = _audio(block.tool_use_prompt_tokens_details), _audio(block.candidates_tokens_details)
    audio_in = None if audio_prompt is None and audio_tool is None else (less(audio_prompt or 0, audio_cached) or 0) + (audio_tool or 0)
    entered = None if prompt is None and tool is None else (prompt or 0) + (tool or 0)
    output = None if candidates is None and thoughts is None else (candidates or 0) + (thoughts or 0)
    return Usage(
        input_tokens=less(entered, cached, audio_in),
        output_tokens=less(output, audio_out),
        cache_read_tokens=cached,
        reasoning_tokens=thoughts,
        audio_input_tokens=audio_in,
        audio_output_tokens=audio_out,
        service_tier=block.service_tier if isinstance(block.service_tier, str) else None,
    )


def _audio(details: Any) -> int | None:
    if not isinstance(details, list):
        return None
    found = [count(one.get("tokenCount")) for one in details if isinstance(one, dict) and one.get("modality") == "AUDIO"]
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
    if usage.audio_input_tokens is not None:
        block["promptTokensDetails"] = _split(prompt, usage.audio_input_tokens)
    if usage.audio_output_tokens is not None:
        block["candidatesTokensDetails"] = _split(candidates, usage.audio_output_tokens)
    if usage.service_tier is not None:
        block["serviceTier"] = usage.service_tier
    return block


def _split(total: int, audio: int) -> list[dict[str, Any]]:
    return [{"modality": "TEXT", "tokenCount": max(0, total - audio)}, {"modality": "AUDIO", "tokenCount": audio}]
