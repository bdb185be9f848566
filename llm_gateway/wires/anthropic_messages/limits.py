"""What Anthropic takes on its Messages endpoint."""

from __future__ import annotations

from typing import Final

from llm_gateway.wires._limits import Limits

from .names import NAME

# Keywords of an answer's schema:
# https://docs.claude.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations Names
# of arguments: "Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'". Top level of a tool's
# schema: "input_schema does not support oneOf, allOf, or anyOf at the top level".
LIMITS: Final = Limits(
    wire=NAME,
    source="https://docs.claude.com/en/api/messages",
    noted_on="2026-11-22",
    name_chars=128,
    id_class="a-zA-Z0-9_-",
    user_chars=256,
    key_chars=64,
    key_class="a-zA-Z0-9_.-",
    images=frozenset(("image/jpeg", "image/png", "image/gif", "image/webp")),
    documents=frozenset(("application/pdf",)),
    empty_text=False,
    by_address=frozenset(("image", "document")),
    failed_is_text=True,
    flat_parameters=True,
    answer_keywords={
        "": frozenset(("type", "title", "description", "enum", "const", "default", "anyOf", "allOf", "$ref", "$defs", "definitions")),
        "object": frozenset(("properties", "required", "additionalProperties")),
        "array": frozenset(("items", "minItems")),
        "string": frozenset(("format",)),
    },
    answer_formats=frozenset(
        ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"),
    ),
    answer_closed=True,
)
