"""What OpenAI takes on its chat endpoint, the strictest host of the format."""

from __future__ import annotations

from typing import Final

from llm_gateway.wires._limits import Limits

# The errors of the host name the figures: "Expected a string with maximum length 40" for
# tool_calls[].id, 64 for names; "schema must have type 'object' and not have
# 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level". How long a `user` may be differs by host:
# `user_limit` of its facts.
LIMITS: Final = Limits(
    wire="openai_chat",
    source="https://platform.openai.com/docs/api-reference/chat/create",
    noted_on="2026-11-22",
    name_chars=64,
    id_chars=40,
    images=frozenset(("image/jpeg", "image/png", "image/gif", "image/webp")),
    documents=frozenset(("application/pdf",)),
    sounds=frozenset(("wav", "mp3")),
    by_address=frozenset(("image",)),
    marks_failure=False,
    flat_parameters=True,
)
