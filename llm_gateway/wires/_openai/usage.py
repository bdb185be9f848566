"""OpenAI-shaped usage blocks, of OpenAI and of every host that imitates them, in both
directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from llm_gateway.core.usage import MAX_TOKENS, Usage, count, less


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(*values: Any) -> int | None:
    for value in values:
        if value is not None and (n := count(value)) is not None:
            return n
    return None


def _told(holders: Iterable[Mapping[str, Any]], names: tuple[str, ...]) -> int | None:
    """The first count above 0: hosts that send two spellings fill the one they do not use with
    0."""
    zero: int | None = None
    for name in names:
        for holder in holders:
            if name in holder and (n := count(holder[name])) is not None:
                if n:
                    return n
                zero = 0
    return zero


def _within(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None else min(part, whole)


# How hosts spell the cached parts of a prompt, in their details or beside the prompt count.
_READ = (
    "cached_tokens",  # OpenAI and most hosts; Moonshot beside the prompt count
    "prompt_cache_hit_tokens",  # https://api-docs.deepseek.com/guides/kv_cache
    "cache_read_input_tokens",  # Anthropic's name, which proxies pass on
    "num_cached_tokens",  # https://docs.mistral.ai/api
    "cache_read_tokens",
)
_WRITTEN = (
    "cache_write_tokens",  # OpenAI, OpenRouter
    "cache_creation_tokens",  # https://docs.litellm.ai/docs/completion/prompt_caching
    "cache_creation_input_tokens",  # Anthropic's name; Alibaba in its details
    "cache_write_input_tokens",
)
# Anthropic counts these beside the prompt, everybody else counts cached tokens inside it.
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
_SPLITS = ("cache_creation", "cache_creation_token_details")
# What most hosts send for most answers; everything else is read with care.
_PLAIN = {"prompt_tokens", "completion_tokens", "total_tokens"}


_DETAILED = {*_PLAIN, "prompt_tokens_details", "completion_tokens_details"}
_NO_DETAILS: dict[str, Any] = {}
_PLAIN_INPUTS = {"cached_tokens", "audio_tokens"}
# The last two tell how a prediction fared; they are billed as output, which holds them.
_PLAIN_OUTPUTS = {"reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"}


class _Cache(msgspec.Struct, frozen=True):
    """The cached tokens of a prompt. ``hour``: of those written, kept for an hour. ``foreign``:
    named as Anthropic names them."""

    read: int | None
    written: int | None
    hour: int | None
    foreign: bool

    @property
    def both(self) -> int:
        return (self.read or 0) + (self.written or 0)


def _cache_of(block: Mapping[str, Any], inputs: Mapping[str, Any]) -> _Cache:
    holders = (inputs, block)
    split = [_object(holder[name]) for holder in holders for name in _SPLITS if name in holder]
    short, hour = _told(split, ("ephemeral_5m_input_tokens",)), _told(split, ("ephemeral_1h_input_tokens",))
    written = _told(holders, _WRITTEN)
    if written is None and (short is not None or hour is not None):
        written = (short or 0) + (hour or 0)
    foreign = any(name in block and count(block[name]) for name in _BESIDE)
    return _Cache(_told(holders, _READ), written, _within(hour, written), foreign)


def _beside(prompt: int, surplus: int | None, reasoning: int, cache: _Cache, anthropic: bool) -> int:
    """How many of the cached tokens ``prompt`` leaves out. ``surplus``: what the host's total holds
    beyond prompt and answer."""
    if not cache.both:
        return 0
    if surplus is None or surplus <= 0:
        # No total proves anything here. Cached tokens that do not fit into the prompt are not
        # inside it, if the name says so, too.
        return cache.both if cache.foreign and (cache.both > prompt or (surplus is None and anthropic)) else 0
    if surplus == reasoning and not cache.foreign:
        return 0
    sums = (cache.both, cache.read or 0, cache.written or 0)
    found = next((part for more in (0, reasoning) for part in sums if part and part + more == surplus), 0)
    return found or (cache.both if prompt < cache.both <= surplus else 0)


def _prompt(block: Mapping[str, Any]) -> int | None:
    told = _first(block.get("prompt_tokens"), block.get("input_tokens"))
    if told is not None:
        return told
    parts = [n for name in ("prompt_cache_hit_tokens", "prompt_cache_miss_tokens") if (n := count(block.get(name))) is not None]
    return sum(parts) if len(parts) == 2 else None


def _searches(block: Mapping[str, Any], otherwise: int | None) -> int | None:
    """Searches of the web, where the block counts them; xAI's searches of X cost the same."""
    tools = _object(block.get("server_side_tool_usage_details"))
    grok = [n for name in ("web_search_calls", "x_search_calls") if name in tools and (n := count(tools[name])) is not None]
    asked = _object(block.get("server_tool_use")).get("web_search_requests")
    return _first(block.get("num_search_queries"), asked, sum(grok) if grok else None, otherwise)


def decode_usage(block: Any, service_tier: str | None = None, web_searches: int | None = None) -> Usage | None:
    """Usage of chat completions, embeddings or responses; ``None`` when the block tells nothing.
    ``web_searches`` stands where the block itself counts none."""
    if not isinstance(block, dict):
        return None
    if block.keys() == _PLAIN:
        prompt, output, total = block["prompt_tokens"], block["completion_tokens"], block["total_tokens"]
        if type(prompt) is type(output) is int and prompt >= 0 <= output and prompt + output == total <= MAX_TOKENS:
            return Usage(input_tokens=prompt, output_tokens=output, web_searches=count(web_searches), service_tier=service_tier)
    elif _PLAIN <= block.keys() <= _DETAILED and (plain := _plain_details(block, service_tier, web_searches)) is not None:
        return plain
    inputs = _object(block.get("prompt_tokens_details")) or _object(block.get("input_tokens_details"))
    outputs = _object(block.get("completion_tokens_details")) or _object(block.get("output_tokens_details"))
    reasoning = _first(outputs.get("reasoning_tokens"), block.get("reasoning_tokens"))
    cache = _cache_of(block, inputs)
    prompt, output = _sides(block, cache, reasoning or 0)
    if prompt is None and output is None:
        return None
    # Parts of the prompt cannot be more than the prompt, whatever a host says (Azure's Grok: 347
    # tokens, 403 of them cached).
    cached = _within(cache.read, prompt)
    written = _within(cache.written, less(prompt, cached))
    hour = _within(cache.hour, written) or None
    audio_in = image_in = audio_out = image_out = None
    if "audio_tokens" in inputs or "image_tokens" in inputs:
        audio_in = _within(count(inputs.get("audio_tokens")), less(prompt, cached, written))
        image_in = _within(count(inputs.get("image_tokens")), less(prompt, cached, written, audio_in))
    if "audio_tokens" in outputs or "image_tokens" in outputs:
        audio_out = _within(count(outputs.get("audio_tokens")), output)
        image_out = _within(count(outputs.get("image_tokens")), less(output, audio_out))
    return Usage(
        input_tokens=less(prompt, cached, written, audio_in, image_in),
        output_tokens=less(output, audio_out, image_out),
        cache_read_tokens=cached,
        cache_write_tokens=less(written, hour),
        cache_write_1h_tokens=hour,
        reasoning_tokens=reasoning,
        audio_input_tokens=audio_in,
        audio_output_tokens=audio_out,
        image_input_tokens=image_in,
        image_output_tokens=image_out,
        web_searches=_searches(block, web_searches),
        service_tier=service_tier,
    )


def _plain_details(block: dict[str, Any], service_tier: str | None, web_searches: int | None) -> Usage | None:
    """OpenAI's own form, in which the parts fit into their sums and the sums into the total;
    ``None``: read it with care."""
    prompt, output, total = block["prompt_tokens"], block["completion_tokens"], block["total_tokens"]
    inputs, outputs = block.get("prompt_tokens_details", _NO_DETAILS), block.get("completion_tokens_details", _NO_DETAILS)
    if type(inputs) is not dict or type(outputs) is not dict or not (inputs.keys() <= _PLAIN_INPUTS and outputs.keys() <= _PLAIN_OUTPUTS):
        return None
    cached, audio_in = inputs.get("cached_tokens", 0), inputs.get("audio_tokens", 0)
    reasoning, audio_out = outputs.get("reasoning_tokens", 0), outputs.get("audio_tokens", 0)
    for one in (prompt, output, total, cached, audio_in, reasoning, audio_out):
        if type(one) is not int or one < 0:
            return None
    if prompt + output != total or total > MAX_TOKENS or cached + audio_in > prompt or audio_out > output or reasoning > MAX_TOKENS:
        return None
    return Usage(
        input_tokens=prompt - cached - audio_in,
        output_tokens=output - audio_out,
        cache_read_tokens=inputs.get("cached_tokens"),
        reasoning_tokens=outputs.get("reasoning_tokens"),
        audio_input_tokens=inputs.get("audio_tokens"),
        audio_output_tokens=outputs.get("audio_tokens"),
        web_searches=count(web_searches),
        service_tier=service_tier,
    )


def _sides(block: Mapping[str, Any], cache: _Cache, reasoning: int) -> tuple[int | None, int | None]:
    """All tokens that went in and all that came out. What a total holds beyond both is cached
    prompt where the cache explains it, and output else: xAI's completion_tokens leave out reasoning
    while total_tokens hold it."""
    prompt = _prompt(block)
    output = _first(block.get("completion_tokens"), block.get("output_tokens"))
    total = count(block.get("total_tokens"))
    if prompt is None:
        return None, output
    surplus = None if total is None else total - prompt - (output or 0)
    beside = _beside(prompt, surplus, reasoning, cache, "prompt_tokens" not in block)
    rest = (surplus or 0) - beside
    if rest > 0:
        output = (output or 0) + rest
    return prompt + beside, output


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
