"""Tool arguments: text in the noun, an object in Anthropic's and Gemini's formats."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json


def as_object(arguments: str, custom: bool = False) -> dict[str, Any]:
    """The object these formats want. Free text goes under ``input``; a model's invalid JSON under ``arguments``, so that
    a history that holds it can still be sent."""
    if custom:
        return {"input": arguments}
    if not arguments.strip():
        return {}
    value = json.lenient(arguments.encode("utf-8", "replace"))
    return value if isinstance(value, dict) else {"arguments": arguments}
