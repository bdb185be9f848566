"""The format's older schema language (a part of OpenAPI 3.0 with upper-case types) as JSON Schema.

https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from typing import Any

from .casing import camel, enum_word

# The numbers of the proto enum, which google-generativeai sends.
_TYPES = ("TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
_COUNTS = frozenset(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"))


def to_json_schema(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    nullable = False
    for given, value in schema.items():
        name = camel(given) if not given.startswith("$") else given
        match name:
            case "type" if isinstance(word := enum_word(value, _TYPES), str):
                if word != "TYPE_UNSPECIFIED":
                    found["type"] = word.lower()
            case "nullable":
                nullable = bool(value)
            case "properties" | "$defs" | "defs" if isinstance(value, dict):
                found[given] = {key: to_json_schema(one) for key, one in value.items()}
            case "items" | "additionalProperties":
                found[name] = to_json_schema(value)
            case "anyOf" | "oneOf" | "allOf" | "prefixItems" if isinstance(value, list):
                found[name] = [to_json_schema(one) for one in value]
            case "example":
                found["examples"] = [value]
            case "propertyOrdering":
                pass
            case _ if name in _COUNTS and isinstance(value, str) and value.isdecimal() and len(value) < 20:
                found[name] = int(value)  # proto's JSON writes 64-bit numbers as strings
            case _:
                found[name] = value
    return _or_null(found) if nullable else found


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}
