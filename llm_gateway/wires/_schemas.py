"""JSON Schemas on their way to another wire. What a wire refuses is taken out and told to the model
in the description."""

from __future__ import annotations

from typing import Any

from llm_gateway.core import json

from ._keys import VALUES, fitted_keys, renamed_schema
from ._limits import Limits

Schema = dict[str, Any]

# Which draft a schema was written in, and notes to its readers: several hosts refuse them, no model
# needs them.
_ABOUT = frozenset(("$schema", "$id", "$comment", "$vocabulary"))
_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_COMBINED = ("anyOf", "oneOf", "allOf")
_NOT_ON_TOP = (*_COMBINED, "not", "enum")
_TOLD_CHARS = 2000


def tool_parameters(schema: Schema | None, held: Limits) -> Schema | None:
    """The schema of a function's arguments: an object with ``properties``, as every wire wants it;
    ``None`` where a wire takes no schema for a tool without arguments."""
    found = _plain(schema or {})
    if names := fitted_keys(found, held):
        found = renamed_schema(found, names)
    if held.flat_parameters:
        found = _flat(found)
    found["type"] = "object"
    if not isinstance(found.get("properties"), dict):
        found = {**found, "properties": {}}
    if not (held.empty_parameters or found["properties"] or found.keys() - {"type", "properties", "required", "additionalProperties"}):
        return None
    return {"type": "object", **{name: value for name, value in found.items() if name != "type"}}


def answer_schema(schema: Schema, held: Limits) -> Schema:
    """The schema an answer has to follow."""
    found: Schema = _plain(schema)
    return _held(found, held) if held.answer_keywords else found


def is_open(schema: Any, held: Limits) -> bool:
    """Whether a wire whose objects are closed cannot express the schema at all: a map with names of
    its own, or a schema that contains itself."""
    return held.answer_closed and (_has_map(schema) or _recurs(schema))


def _plain(schema: Any) -> Any:
    """Without words about the schema itself and without keywords that say nothing (``null``)."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: Schema = {}
    for name, value in schema.items():
        if name in VALUES:
            found[name] = value
        elif name in _NAMED and isinstance(value, dict):
            found[name] = {key: _plain(one) for key, one in value.items()}
        elif name not in _ABOUT and value is not None:
            found[name] = _plain(value)
    return found


def _flat(schema: Schema) -> Schema:
    """The alternatives at the top as one object: their properties together, required what all of
    them require, the rest in words."""
    schema = _resolved(schema, schema)
    if not any(name in schema for name in _NOT_ON_TOP):
        return schema
    found = {name: value for name, value in schema.items() if name not in _NOT_ON_TOP}
    properties: Schema = dict(found.get("properties") or {})
    required: list[str] = list(found.get("required") or ())
    for name in _COMBINED:
        branches = [_flat(_resolved(one, schema)) for one in schema.get(name) or () if isinstance(one, dict)]
        for branch in branches:
            properties = {**(branch.get("properties") or {}), **properties}
        wanted = [set(branch.get("required") or ()) for branch in branches]
        if wanted:
            shared = set().union(*wanted) if name == "allOf" else wanted[0].intersection(*wanted[1:])
            required += sorted(shared - set(required))
    found["properties"] = properties
    if required:
        found["required"] = required
    rest = {name: schema[name] for name in _NOT_ON_TOP if name in schema and name != "allOf"}
    return _told(found, rest)


def _resolved(schema: Schema, root: Schema) -> Schema:
    """A schema that is only a reference into ``root`` as what it refers to."""
    seen: set[str] = set()
    while isinstance(path := schema.get("$ref"), str) and path.startswith("#/") and path not in seen:
        seen.add(path)
        target: Any = root
        for step in path[2:].split("/"):
            target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            break
        kept = {name: value for name, value in schema.items() if name != "$ref"}
        schema = {**target, **kept}
    return schema


def _held(schema: Any, held: Limits) -> Any:
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {name: _named(value, held) if name in _NAMED else value for name, value in schema.items() if name in ("$ref", *_NAMED)}
    kinds = _kinds(schema)
    known = held.answer_keywords[""].union(*(held.answer_keywords.get(kind, frozenset()) for kind in kinds))
    found: Schema = {}
    told: Schema = {}
    for given, value in schema.items():
        name = "anyOf" if given == "oneOf" and "anyOf" not in schema else given
        if name == "additionalProperties" and held.answer_closed:
            continue
        if name not in known or not _fits(name, value, held):
            told[given] = value
        elif name in _NAMED:
            found[name] = _named(value, held)
        elif name == "items":
            found[name] = _held(value, held)
        elif name in _COMBINED:
            found[name] = [_held(one, held) for one in value]
        else:
            found[name] = value
    if held.answer_closed and "object" in kinds:
        found["additionalProperties"] = False
    return _told(found, told)


def _kinds(schema: Schema) -> set[str]:
    kind = schema.get("type")
    if kind is None:
        return {"object"} if "properties" in schema else {"array"} if "items" in schema else set()
    return {kind} if isinstance(kind, str) else {one for one in kind if isinstance(one, str)}


def _fits(name: str, value: Any, held: Limits) -> bool:
    match name:
        case "format":
            return value in held.answer_formats
        case "minItems":
            return value in (0, 1)
        case "items":
            return isinstance(value, dict)
        case "anyOf" | "allOf":
            return isinstance(value, list)
        case "enum":
            return isinstance(value, list) and not any(isinstance(one, dict | list) for one in value)
    return True


def _named(value: Any, held: Limits) -> Any:
    return {name: _held(one, held) for name, one in value.items()} if isinstance(value, dict) else value


def _told(schema: Schema, rest: Schema) -> Schema:
    if not rest:
        return schema
    words = ", ".join(f"{name}: {value if isinstance(value, str) else json.dumps(value).decode()}" for name, value in rest.items())
    before = schema.get("description")
    text = f"{{{words[:_TOLD_CHARS]}}}"
    return {**schema, "description": f"{before}\n\n{text}" if isinstance(before, str) and before else text}


def _has_map(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(_has_map(one) for one in schema)
    if not isinstance(schema, dict):
        return False
    more = schema.get("additionalProperties")
    if (isinstance(more, dict) or more is True) and not schema.get("properties"):
        return True
    if "patternProperties" in schema:
        return True
    return any(
        any(_has_map(one) for one in value.values()) if name in _NAMED and isinstance(value, dict) else _has_map(value)
        for name, value in schema.items()
        if name not in VALUES
    )


def _recurs(schema: Schema) -> bool:
    defined = {f"#/{group}/{name}": one for group in ("$defs", "definitions") for name, one in (schema.get(group) or {}).items()}
    after = {path: _references(one) for path, one in defined.items()}
    if "#" in _references(schema):
        return True
    for path in defined:
        reached, todo = set[str](), list(after[path])
        while todo:
            step = todo.pop()
            if step == path:
                return True
            if step not in reached:
                reached.add(step)
                todo += after.get(step, ())
    return False


def _references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*(_references(one) for one in value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
    return own.union(*(_references(one) for name, one in value.items() if name not in VALUES))
