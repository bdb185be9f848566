"""Top-level fields that belong to another wire and must never reach this one.

Fields that no wire knows are let through, although the providers refuse them: callers may be newer than this list.
"""

from __future__ import annotations

from typing import Any

CHAT = frozenset({
    "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "stop", "presence_penalty",
    "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "seed", "user", "safety_identifier", "prompt_cache_key",
    "prompt_cache_options", "prompt_cache_retention", "reasoning_effort", "verbosity", "response_format", "tools", "tool_choice",
    "parallel_tool_calls", "functions", "function_call", "modalities", "audio", "prediction", "service_tier", "store", "metadata",
    "moderation", "web_search_options", "stream", "stream_options",
})  # fmt: skip
RESPONSES = frozenset({
    "model", "input", "instructions", "max_output_tokens", "max_tool_calls", "temperature", "top_p", "top_logprobs", "tools",
    "tool_choice", "parallel_tool_calls", "text", "reasoning", "include", "store", "previous_response_id", "conversation",
    "truncation", "background", "metadata", "service_tier", "stream", "stream_options", "user", "safety_identifier", "prompt",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "client_metadata", "moderation", "context_management",
})  # fmt: skip
MESSAGES = frozenset({
    "model", "messages", "max_tokens", "system", "stop_sequences", "temperature", "top_p", "top_k", "stream", "tools",
    "tool_choice", "thinking", "output_config", "output_format", "metadata", "service_tier", "speed", "cache_control", "container",
    "inference_geo", "context_management", "mcp_servers",
})  # fmt: skip
GENERATE = frozenset({
    "contents", "systemInstruction", "system_instruction", "generationConfig", "generation_config", "tools", "toolConfig",
    "tool_config", "safetySettings", "safety_settings", "cachedContent", "cached_content", "serviceTier", "service_tier",
    "labels", "model", "store",
})  # fmt: skip
_WIRES = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES, "generate": GENERATE}
_ALL = CHAT | RESPONSES | MESSAGES | GENERATE


def foreign(wire: str, body: dict[str, Any]) -> str | None:
    """The first field of ``body`` that is another wire's, or None. ``wire``: chat, responses, messages, generate."""
    own = _WIRES[wire]
    return next((name for name in body if name not in own and name in _ALL), None)


def path_to(value: Any, name: str, path: str) -> str | None:
    """Where a field called ``name`` stands inside ``value``, or None."""
    if isinstance(value, dict):
        for key, item in value.items():
            where = f"{path}.{key}"
            if key == name:
                return where
            if found := path_to(item, name, where):
                return found
    if isinstance(value, list):
        for at, item in enumerate(value):
            if found := path_to(item, name, f"{path}[{at}]"):
                return found
    return None
