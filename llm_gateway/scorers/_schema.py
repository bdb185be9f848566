"""Whether a JSON value is what a JSON Schema says: the words that tools' parameters are written with. Unknown words say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEPTH = 40
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "number": (int, float), "integer": (int, float), "boolean": (bool,),
    "null": (type(None),),
}  # fmt: skip


def fault(value: Any, schema: Any, root: Any = None, depth: int = 0, where: str = "") -> str | None:
    """The first thing that does not fit, as a sentence; ``None`` where all does."""
    root = schema if root is None else root
    if schema is False:
        return f"{where or 'the value'} is not allowed"
    if not isinstance(schema, Mapping) or depth > DEPTH:
        return None
    if isinstance(reference := schema.get("$ref"), str):
        return fault(value, _followed(reference, root), root, depth + 1, where)
    here = where or "the value"
    if (kinds := schema.get("type")) is not None and not _is(value, [kinds] if isinstance(kinds, str) else kinds):
        return f"{here} is no {kinds if isinstance(kinds, str) else ' or '.join(map(str, kinds))}"
    if "enum" in schema and isinstance(schema["enum"], list) and not any(_same(value, one) for one in schema["enum"]):
        return f"{here} is none of the values allowed"
    if "const" in schema and not _same(value, schema["const"]):
        return f"{here} is not the one value allowed"
    return _combined(value, schema, root, depth, where) or _inside(value, schema, root, depth, where) or _bounds(value, schema, here)


def _combined(value: Any, schema: Mapping[str, Any], root: Any, depth: int, where: str) -> str | None:
    for one in _list(schema.get("allOf")):
        if (wrong := fault(value, one, root, depth + 1, where)) is not None:
            return wrong
    for word in ("anyOf", "oneOf"):
        choices = _list(schema.get(word))
        if choices and all(fault(value, one, root, depth + 1, where) is not None for one in choices):
            return f"{where or 'the value'} fits none of the forms allowed"
    return None


def _inside(value: Any, schema: Mapping[str, Any], root: Any, depth: int, where: str) -> str | None:
    if isinstance(value, dict):
        for name in _list(schema.get("required")):
            if name not in value:
                return f"`{str(name)[:60]}` is missing in {where or 'the value'}"
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        rest = schema.get("additionalProperties")
        for name, one in value.items():
            below = properties[name] if name in properties else None if schema.get("patternProperties") else rest
            if below is False:
                return f"`{name[:60]}` is not a field of {where or 'the value'}"
            if (wrong := fault(one, below, root, depth + 1, f"`{name[:60]}`")) is not None:
                return wrong
    elif isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        for one in value[:1000]:
            if (wrong := fault(one, items, root, depth + 1, f"an item of {where or 'the list'}")) is not None:
                return wrong
    return None


def _bounds(value: Any, schema: Mapping[str, Any], here: str) -> str | None:
    size: Any = value if _number(value) else len(value) if isinstance(value, str | list) else None
    if size is None:
        return None
    low, high = (
        ("minimum", "maximum") if _number(value) else ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
    )
    if _number(schema.get(low)) and size < schema[low]:
        return f"{here} is less than {schema[low]}"
    if _number(schema.get(high)) and size > schema[high]:
        return f"{here} is more than {schema[high]}"
    return None


def _is(value: Any, kinds: Any) -> bool:
    if not isinstance(kinds, list):
        return True
    for kind in kinds:
        accepted = _TYPES.get(kind)
        if accepted is None:
            return True
        whole = kind != "integer" or not isinstance(value, float) or value.is_integer()
        if isinstance(value, accepted) and whole and (kind == "boolean" or not isinstance(value, bool)):
            return True
    return False


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _followed(reference: str, root: Any) -> Any:
    """A reference within the same document; any other says nothing."""
    if not reference.startswith("#"):
        return None
    found = root
    for name in reference.removeprefix("#").split("/")[1:]:
        plain = name.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or plain not in found:
            return None
        found = found[plain]
    return found
