"""Token counts, both ways. ``input_tokens`` excludes the cache already; the thinking tokens are
part of the output.

https://docs.claude.com/en/api/messages#response-usage
"""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core.usage import Usage, count, less
from llm_gateway.wires import _tiers

from .names import NAME

# A speed that has prices of its own, as a tier has.
FAST = "fast"


class UsageIn(msgspec.Struct):
    """A provider's block as it is; any field may be missing, null or, on compatible hosts, odd."""

    input_tokens: Any = None
    output_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation: Any = None
    output_tokens_details: Any = None
    server_tool_use: Any = None
    service_tier: Any = None
    speed: Any = None


class Tally:
    """Usage over a stream: counts are cumulative but later blocks leave out what earlier ones said,
    and a placeholder 0 or 1 comes first; the largest known number holds."""

    __slots__ = ("_counts", "_fast", "_tier")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._fast = False
        self._tier: str | None = None

    def add(self, block: UsageIn) -> Usage:
        found = {
            "input": count(block.input_tokens),
            "output": count(block.output_tokens),
            "write": count(block.cache_creation_input_tokens),
            "read": count(block.cache_read_input_tokens),
            "5m": _inside(block.cache_creation, "ephemeral_5m_input_tokens"),
            "1h": _inside(block.cache_creation, "ephemeral_1h_input_tokens"),
            "thinking": _inside(block.output_tokens_details, "thinking_tokens"),
            "searches": _inside(block.server_tool_use, "web_search_requests"),
        }
        for name, value in found.items():
            if value is not None:
                self._counts[name] = max(value, self._counts.get(name, 0))
        if isinstance(block.service_tier, str):
            self._tier = block.service_tier
        if block.speed == FAST:
            self._fast = True
        get = self._counts.get
        # message_delta repeats only the total of cache writes, message_start has the split.
        write = less(get("write"), get("1h")) if "write" in self._counts else get("5m")
        return Usage(
            input_tokens=get("input"),
            output_tokens=get("output"),
            cache_read_tokens=get("read"),
            cache_write_tokens=write,
            cache_write_1h_tokens=get("1h"),
            reasoning_tokens=get("thinking"),
            web_searches=get("searches"),
            service_tier=FAST if self._fast else self._tier,
        )


def _inside(block: Any, name: str) -> int | None:
    return count(block.get(name)) if isinstance(block, dict) else None


def encode(usage: Usage | None, prompt_tokens: int | None = None) -> dict[str, Any]:
    """The SDKs demand numbers, so an unknown count is shown as 0. ``prompt_tokens``: an estimate
    for as long as the provider has told nothing. Audio and images have no class here and join the
    main counts."""
    if usage is None:
        none = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
        return {"input_tokens": prompt_tokens or 0, **none}
    wrote, wrote_1h = usage.cache_write_tokens, usage.cache_write_1h_tokens
    block: dict[str, Any] = {
        "input_tokens": sum(n or 0 for n in (usage.input_tokens, usage.audio_input_tokens, usage.image_input_tokens)),
        "cache_creation_input_tokens": (wrote or 0) + (wrote_1h or 0),
        "cache_read_input_tokens": usage.cache_read_tokens or 0,
        "output_tokens": usage.completion_tokens,
    }
    if wrote_1h is not None:
        block["cache_creation"] = {"ephemeral_5m_input_tokens": wrote or 0, "ephemeral_1h_input_tokens": wrote_1h}
    if usage.reasoning_tokens is not None:
        block["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.web_searches is not None:
        block["server_tool_use"] = {"web_search_requests": usage.web_searches}
    if usage.service_tier == FAST:
        block["speed"] = FAST
    elif (tier := _tiers.answered(NAME, usage.service_tier)) is not None:
        block["service_tier"] = tier
    return block
