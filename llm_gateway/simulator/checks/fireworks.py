"""Fireworks refuses fields it does not know, and names the path of the first one."""

from __future__ import annotations

from typing import Any

from llm_gateway.simulator.reply import Problem

_TOP = frozenset({
    "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "typical_p", "n", "stop",
    "stream", "stream_options", "frequency_penalty", "presence_penalty", "repetition_penalty", "mirostat_lr", "mirostat_target",
    "logit_bias", "logprobs", "top_logprobs", "seed", "user", "response_format", "tools", "tool_choice", "parallel_tool_calls",
    "functions", "function_call", "reasoning_effort", "reasoning_history", "thinking", "context_length_exceeded_behavior",
    "prompt_truncate_len", "ignore_eos", "echo", "echo_last", "raw_output", "return_token_ids", "perf_metrics_in_response",
    "prompt_cache_key", "prompt_cache_isolation_key", "service_tier", "speculation", "prediction", "metadata", "safe_tokenization",
    "sampling_mask", "prompt_cache_max_len", "store", "safety_identifier", "verbosity",
})  # fmt: skip
_MESSAGE = frozenset({
    "role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "function_call", "refusal", "tool_call",
})  # fmt: skip
_PARTS = {
    "text": frozenset({"type", "text"}),
    "image_url": frozenset({"type", "image_url", "uuid"}),
    "video_url": frozenset({"type", "video_url", "uuid"}),
    "input_audio": frozenset({"type", "input_audio"}),
}
_TOOL = frozenset({"type", "function"})
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})
_FORMAT = frozenset({"type", "schema", "json_schema", "grammar"})
_JSON_SCHEMA = frozenset({"name", "description", "schema", "strict"})


def _only(value: Any, known: frozenset[str], path: str) -> None:
    for name in value if isinstance(value, dict) else ():
        if name not in known:
            where = f"{path}.{name}" if path else name
            raise Problem("bad_request", f"Extra inputs are not permitted, field: '{where}'")


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def check_fields(body: dict[str, Any]) -> None:
    """Raises Problem for the first unknown field of a chat request."""
    _only(body, _TOP, "")
    for at, message in enumerate(_each(body.get("messages"))):
        _only(message, _MESSAGE, f"messages[{at}]")
        content = message.get("content") if isinstance(message, dict) else None
        for place, part in enumerate(_each(content)):
            kind = part.get("type") if isinstance(part, dict) else None
            _only(part, _PARTS.get(str(kind), _PARTS["text"]), f"messages[{at}].content[{place}]")
    for at, tool in enumerate(_each(body.get("tools"))):
        _only(tool, _TOOL, f"tools[{at}]")
        _only(tool.get("function") if isinstance(tool, dict) else None, _FUNCTION, f"tools[{at}].function")
    shape = body.get("response_format")
    if isinstance(shape, dict):
        _only(shape, _FORMAT, "response_format")
        _only(shape.get("json_schema"), _JSON_SCHEMA, "response_format.json_schema")
