"""What JSON Schemas of our structs need before makers of clients can read them."""

from __future__ import annotations

from typing import Any


def completed(schema: Any) -> Any:
    """``schema`` with what msgspec leaves unsaid, in place: the type of a choice, the items of a list."""
    if isinstance(schema, dict):
        values = schema.get("enum")
        if isinstance(values, list) and "type" not in schema and all(isinstance(value, str) for value in values):
            schema["type"] = "string"
        if schema.get("type") == "array":
            schema.setdefault("items", {})
        for inner in schema.values():
            completed(inner)
    elif isinstance(schema, list):
        for inner in schema:
            completed(inner)
    return schema
