"""What JSON Schemas of our structs need before makers of clients can read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_PREFIX = "#/components/schemas/"


def completed(schema: Any) -> Any:
    """``schema`` with what msgspec leaves unsaid, in place: the type of a choice, the items of a list, that an object is an open one."""
    if isinstance(schema, dict):
        values = schema.get("enum")
        if isinstance(values, list) and "type" not in schema and all(isinstance(value, str) for value in values):
            schema["type"] = "string"
        if schema.get("type") == "array":
            schema.setdefault("items", {})
        if schema.get("type") == "object" and not schema.get("properties"):
            schema.setdefault("additionalProperties", {})
        for inner in schema.values():
            completed(inner)
    elif isinstance(schema, list):
        for inner in schema:
            completed(inner)
    return schema


def with_optional_fields(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: says the defaults of what callers send in words.

    Makers of TypeScript clients take a field with a ``default`` for one that is always there, so a caller would have to write them all.
    """
    schemas = result.get("components", {}).get("schemas", {})
    asked = [operation.get("requestBody") for methods in result["paths"].values() for operation in methods.values()]
    waiting, seen = list(_references(asked)), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen and name in schemas:
            seen.add(name)
            waiting += _references(schemas[name])
            for field in schemas[name].get("properties", {}).values():
                if "default" in field and (value := field.pop("default")) is not None:
                    said = f"Default: `{json.dumps(value)}`."
                    field["description"] = f"{field['description']} {said}" if field.get("description") else said
    return result


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(target := value.get("$ref"), str) and target.startswith(_PREFIX):
            yield target.removeprefix(_PREFIX)
        value = list(value.values())
    for one in value if isinstance(value, list) else ():
        yield from _references(one)
