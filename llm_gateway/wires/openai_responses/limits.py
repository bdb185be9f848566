"""What OpenAI takes on its Responses endpoint."""

from __future__ import annotations

from typing import Final

from llm_gateway.wires._limits import Limits

from .names import NAME

# "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16". File inputs
# besides PDF: https://platform.openai.com/docs/guides/file-inputs
LIMITS: Final = Limits(
    wire=NAME,
    source="https://platform.openai.com/docs/api-reference/responses/create",
    noted_on="2026-11-22",
    name_chars=64,
    id_chars=64,
    user_chars=64,
    least_output=16,
    images=frozenset(("image/jpeg", "image/png", "image/gif", "image/webp")),
    documents=frozenset(
        (
            "application/pdf",
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        )
    ),
    sounds=frozenset(("wav", "mp3")),
    by_address=frozenset(("image", "document")),
    marks_failure=False,
    flat_parameters=True,
)
