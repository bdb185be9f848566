"""Names of a tool's arguments that a wire does not take.

Other names are written to the wire, in the schema and in the calls of the history; the model's
arguments get the caller's names back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_gateway.core import json

from ._limits import Limits, with_digest

Schema = dict[str, Any]

# What follows these words is a value, no schema.
VALUES = frozenset(("enum", "const", "default", "examples", "example"))
_BY_NAME = frozenset(("properties", "dependentSchemas", "dependentRequired"))
_NAMED = frozenset(("patternProperties", "$defs", "definitions"))


def fitted_keys(schema: Schema | None, held: Limits) -> dict[str, str]:
    """What the wire is given, by the caller's own name, for the names that it does not take. Empty:
    it takes them all."""
    if held.key_class is None or not schema:
        return {}
    names = set(_names(schema))
    fitted = {name: _fitting(name, held) for name in names}
    return {name: other for name, other in fitted.items() if other != name and other not in names}


def _fitting(name: str, held: Limits) -> str:
    if held.key_chars is not None and 0 < len(name) <= held.key_chars and re.fullmatch(f"[{held.key_class}]+", name):
        return name
    return with_digest(re.sub(f"[^{held.key_class}]", "_", name), name, held.key_chars or len(name) + 16)


def renamed_schema(schema: Any, names: Mapping[str, str]) -> Any:
    """A schema whose properties have the other names, wherever they are named."""
    if isinstance(schema, list):
        return [renamed_schema(one, names) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: Schema = {}
    for word, value in schema.items():
        if word in VALUES:
            found[word] = renamed(value, names)
        elif word in _BY_NAME and isinstance(value, dict):
            found[word] = {names.get(key, key): _required(one, names) or renamed_schema(one, names) for key, one in value.items()}
        elif word in _NAMED and isinstance(value, dict):
            found[word] = {key: renamed_schema(one, names) for key, one in value.items()}
        elif word == "required":
            found[word] = _required(value, names) or value
        else:
            found[word] = renamed_schema(value, names)
    return found


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A value whose objects have the other names as keys."""
    if isinstance(value, list):
        return [renamed(one, names) for one in value]
    if isinstance(value, dict):
        return {names.get(key, key): renamed(one, names) for key, one in value.items()}
    return value


def renamed_arguments(arguments: str, names: Mapping[str, str]) -> str:
    """Arguments as a call has them; what is no JSON stays as it is."""
    value = json.lenient(arguments.encode("utf-8", "replace")) if arguments else None
    return json.dumps(renamed(value, names)).decode() if isinstance(value, dict) else arguments


def _required(value: Any, names: Mapping[str, str]) -> list[Any] | None:
    if not isinstance(value, list):
        return None
    return [names.get(one, one) if isinstance(one, str) else one for one in value]


def _names(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from _names(one)
    elif isinstance(schema, dict):
        for word, value in schema.items():
            if word in VALUES:
                continue
            if word in ("properties", *_NAMED) and isinstance(value, dict):
                if word == "properties":
                    yield from value
                yield from _names(list(value.values()))
            else:
                yield from _names(value)
