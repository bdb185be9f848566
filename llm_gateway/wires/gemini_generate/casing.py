"""One spelling of the fields: the format takes ``maxOutputTokens`` and ``max_output_tokens``
alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from llm_gateway.core.errors import InvalidRequest

_UNDERSCORE = re.compile(r"_([a-z0-9])")
# What lies below these is the caller's own: arguments, schemas, labels.
_FREE = frozenset(
    ("args", "response", "parameters", "parametersJsonSchema", "responseJsonSchema", "responseSchema", "labels", "partMetadata")
)


def camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name) if "_" in name else name


def enum_word(value: Any, words: Sequence[str]) -> Any:
    """An enum's value as its word where it came as its number, which proto's JSON allows."""
    return words[value] if isinstance(value, int) and 0 <= value < len(words) else value


def normal(value: Any) -> Any:
    """A decoded body with camelCase names in every place that belongs to the format."""
    if isinstance(value, list):
        return [normal(one) for one in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for given, inner in value.items():
        name = camel(given)
        if name in found:
            raise InvalidRequest(f"{name}: given in both spellings.", param=name)
        found[name] = inner if name in _FREE else normal(inner)
    return found


def listed(fields: dict[str, Any]) -> dict[str, Any]:
    """The conversation with lists where the format takes a lone object for a list of one:
    ``"contents": {"parts": {"text": "hi"}}``."""
    found = dict(fields)
    if isinstance(found.get("contents"), dict):
        found["contents"] = [found["contents"]]
    if isinstance(found.get("contents"), list):
        found["contents"] = [_with_parts(one) for one in found["contents"]]
    if "systemInstruction" in found:
        found["systemInstruction"] = _with_parts(found["systemInstruction"])
    return found


def _with_parts(content: Any) -> Any:
    if isinstance(content, dict) and isinstance(content.get("parts"), dict):
        return {**content, "parts": [content["parts"]]}
    return content
