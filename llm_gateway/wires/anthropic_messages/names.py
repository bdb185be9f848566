"""The format's own words."""

from __future__ import annotations

from typing import Final

from llm_gateway.core.chat import FinishReason

NAME: Final = "anthropic_messages"

# The neutral conversation's fields as callers of this format write them.
FIELD_NAMES: Final = {
    "stop": "stop_sequences",
    "response_format": "output_config.format",
    "reasoning": "thinking",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}

FINISH: Final = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.REFUSAL,
    "pause_turn": FinishReason.PAUSE,
    "compaction": FinishReason.PAUSE,
}

STOP_REASON: Final = {
    FinishReason.STOP: "end_turn",
    FinishReason.STOP_SEQUENCE: "stop_sequence",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.REFUSAL: "refusal",
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.PAUSE: "pause_turn",
    # The format has no word for a broken answer; this one says that it is not whole, and agents go
    # on from it.
    FinishReason.MODEL_FAULT: "max_tokens",
}


def finish_of(stop_reason: str, calls: int) -> FinishReason:
    """Compatible hosts end a turn of tool calls with ``end_turn``; the calls decide."""
    reason = FINISH.get(stop_reason, FinishReason.STOP)
    return FinishReason.TOOL_CALLS if calls and reason is FinishReason.STOP else reason


def stop_reason_of(finish: FinishReason | None, raw: str | None) -> str:
    if finish is None:
        return "end_turn"
    return raw if raw and FINISH.get(raw) is finish else STOP_REASON[finish]
