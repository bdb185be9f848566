"""The format's own words. https://ai.google.dev/api/generate-content"""

from __future__ import annotations

from typing import Final

from llm_gateway.core.chat import FinishReason

NAME: Final = "gemini_generate"

# The neutral conversation's fields as callers of this format write them.
FIELD_NAMES: Final = {
    "messages": "contents",
    "system_instruction": "systemInstruction",
    "n": "generationConfig.candidateCount",
    "stop": "generationConfig.stopSequences",
    "seed": "generationConfig.seed",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "max_tokens": "generationConfig.maxOutputTokens",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "response_format": "generationConfig.responseJsonSchema",
    "reasoning": "generationConfig.thinkingConfig",
    "service_tier": "serviceTier",
    "tool_choice": "toolConfig",
}

FINISH: Final = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.PAUSE,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
}

# The numbers of the proto enum, which ``$alt=json;enum-encoding=int`` shows instead of names.
# https://github.com/googleapis/googleapis/blob/master/google/ai/generativelanguage/v1beta/generative_service.proto
_NUMBERS: Final = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)

_OUT: Final = {
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
    FinishReason.REFUSAL: "SAFETY",
    FinishReason.MODEL_FAULT: "OTHER",
}

# Google's own stand-ins for a signature that is not known; models of the third generation take
# them. https://ai.google.dev/gemini-api/docs/thought-signatures
NO_SIGNATURE: Final = "skip_thought_signature_validator"
NO_SIGNATURES: Final = frozenset((NO_SIGNATURE, "context_engineering_is_the_way_to_go"))


def finish_word(value: str | int | None) -> str | None:
    """The name of a finish reason that may have come as a number; ``None`` while there is none."""
    if isinstance(value, int):
        value = _NUMBERS[value] if 0 <= value < len(_NUMBERS) else "OTHER"
    return None if not value or value == _NUMBERS[0] else value


def finish_of(word: str, calls: int) -> FinishReason:
    """Calls end with ``STOP`` too; every reason that is not known is a fault of the model."""
    reason = FINISH.get(word, FinishReason.MODEL_FAULT)
    return FinishReason.TOOL_CALLS if calls and reason is FinishReason.STOP else reason


def finish_out(finish: FinishReason, raw: str | None) -> str:
    if raw and raw.isupper() and finish_of(raw, int(finish is FinishReason.TOOL_CALLS)) is finish:
        return raw
    return _OUT.get(finish, "STOP")
