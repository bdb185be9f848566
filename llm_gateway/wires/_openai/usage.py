"""OpenAI-shaped usage blocks, of OpenAI and of every host that imitates them, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_gateway.core.usage import Usage, count, less


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(*values: Any) -> int | None:
    return next((n for value in values if (n := count(value)) is not None), None)


def _within(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None else min(part, whole)


def _output(reported: int | None, prompt: int | None, total: int | None) -> int | None:
    # xAI's completion_tokens leave out reasoning while total_tokens hold it; everywhere else total = prompt + completion.
    if prompt is None or total is None:
        return reported
    return max(reported or 0, total - prompt) if reported is not None or total > prompt else reported


def _searches(tools: Mapping[str, Any]) -> int | None:
    """xAI's own: searches of the web and of X cost the same."""
    found = [n for name in ("web_search_calls", "x_search_calls") if (n := count(tools.get(name))) is not None]
    return sum(found) if found else None


def decode_usage(block: Any, service_tier: str | None = None, web_searches: int | None = None) -> Usage | None:
    """Usage of chat completions, embeddings or responses; ``None`` when the block tells nothing. ``web_searches`` stands where the
    block itself counts none."""
    if not isinstance(block, dict):
        return None
    prompt = _first(block.get("prompt_tokens"), block.get("input_tokens"))
    completion = _first(block.get("completion_tokens"), block.get("output_tokens"))
    inputs = _object(block.get("prompt_tokens_details")) or _object(block.get("input_tokens_details"))
    outputs = _object(block.get("completion_tokens_details")) or _object(block.get("output_tokens_details"))
    output = _output(completion, prompt, count(block.get("total_tokens")))
    if prompt is None and output is None:
        return None
    cached = _first(inputs.get("cached_tokens"), block.get("prompt_cache_hit_tokens"), block.get("cached_tokens"))
    # Parts of the prompt cannot be more than the prompt, whatever a host says (Azure's Grok: 347 tokens, 403 of them cached).
    cached = _within(cached, prompt)
    written = _within(count(inputs.get("cache_write_tokens")), less(prompt, cached))
    audio_in = _within(count(inputs.get("audio_tokens")), less(prompt, cached, written))
    image_in = _within(count(inputs.get("image_tokens")), less(prompt, cached, written, audio_in))
    audio_out = _within(count(outputs.get("audio_tokens")), output)
    image_out = _within(count(outputs.get("image_tokens")), less(output, audio_out))
    searches = _first(
        block.get("num_search_queries"),
        _object(block.get("server_tool_use")).get("web_search_requests"),
        _searches(_object(block.get("server_side_tool_usage_details"))),
        web_searches,
    )
    return Usage(
        input_tokens=less(prompt, cached, written, audio_in, image_in),
        output_tokens=less(output, audio_out, image_out),
        cache_read_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=_first(outputs.get("reasoning_tokens"), block.get("reasoning_tokens")),
        audio_input_tokens=audio_in,
        audio_output_tokens=audio_out,
        image_input_tokens=image_in,
        image_output_tokens=image_out,
        web_searches=searches,
        service_tier=service_tier,
    )


def _details(**values: int | None) -> dict[str, int]:
    return {name: value for name, value in values.items() if value is not None}


def _written(usage: Usage) -> int | None:
    if usage.cache_write_tokens is None and usage.cache_write_1h_tokens is None:
        return None
    return (usage.cache_write_tokens or 0) + (usage.cache_write_1h_tokens or 0)


def _media_in(usage: Usage) -> dict[str, int | None]:
    return {"audio_tokens": usage.audio_input_tokens, "image_tokens": usage.image_input_tokens}


def _media_out(usage: Usage) -> dict[str, int | None]:
    return {"audio_tokens": usage.audio_output_tokens, "image_tokens": usage.image_output_tokens}


def encode_chat_usage(usage: Usage) -> dict[str, Any]:
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    block: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if inputs := _details(cached_tokens=usage.cache_read_tokens, cache_write_tokens=_written(usage), **_media_in(usage)):
        block["prompt_tokens_details"] = inputs
    if outputs := _details(reasoning_tokens=usage.reasoning_tokens, **_media_out(usage)):
        block["completion_tokens_details"] = outputs
    return block


def encode_responses_usage(usage: Usage) -> dict[str, Any]:
    # The official SDK types these details as present.
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens or 0, "cache_write_tokens": _written(usage) or 0}
        | _details(**_media_in(usage)),
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0} | _details(**_media_out(usage)),
        "total_tokens": prompt + completion,
    }
