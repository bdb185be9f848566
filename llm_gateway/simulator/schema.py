"""Values that validate against a JSON schema, made by walking it. Deterministic for one seed.

Knows $ref ($defs, definitions, any pointer), allOf, anyOf, oneOf, const, enum, type lists, nullable and upper-case types
(Gemini), bounds of numbers, strings, arrays and objects, formats and simple patterns. Recursion ends at the first
optional branch.
"""

from __future__ import annotations

import json
import math
import random
from typing import Any

from llm_gateway.simulator import patterns
from llm_gateway.simulator.rng import seeded

DEPTH = 6
_WORDS = (
    "handles input validation before processing",
    "keeps the public interface small",
    "extract the repeated branch into a helper",
    "add a test for the empty case",
    "names state their purpose",
    "bounds are checked before the write",
    "error paths release the resource",
    "no unbounded growth was found",
)
_BY_NAME = {
    "summary": "The code is clear, does one thing, and handles the common errors.",
    "description": "The loop reads past the last element when the list is empty.",
    "title": "Missing check for an empty list",
    "suggestion": "Return early when there is nothing to process.",
    "recommendation": "Add a guard clause and a test for the empty input.",
    "severity": "medium",
    "category": "quality",
    "language": "python",
    "file": "src/service.py",
    "name": "process_items",
    "code": "def process_items(items):\n    return [item for item in items if item]",
    "message": "Consider handling the empty case explicitly.",
    "location": "src/service.py:42",
    "city": "Paris",
    "path": "src/main.py",
    "query": "error handling",
    "url": "https://example.com/",
    "command": "ls",
}
_FORMATS = {
    "date-time": "2026-11-22T10:00:00Z",
    "date": "2026-11-22",
    "time": "10:00:00Z",
    "duration": "PT15M",
    "email": "dev@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.10",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/docs",
    "uuid": "3f2b8c1e-5d4a-4b6f-9c7d-8e9f0a1b2c3d",
    "regex": "^a+$",
    "json-pointer": "/a/b",
}


def example(schema: dict[str, Any] | bool, seed: int) -> Any:
    """A value valid against ``schema``, the same for the same seed."""
    return _Walk(schema if isinstance(schema, dict) else {}, seeded(seed)).value(schema, "", 0)


class _Walk:
    def __init__(self, root: dict[str, Any], rng: random.Random) -> None:
        self.root = root
        self.rng = rng

    def value(self, schema: dict[str, Any] | bool, name: str, depth: int) -> Any:
        if not isinstance(schema, dict):
            return self.rng.choice(_WORDS)
        schema = self.flat(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self.rng.choice([item for item in schema["enum"] if item is not None] or schema["enum"])
        for key in ("anyOf", "oneOf", "any_of"):
            if schema.get(key):
                rest = {k: v for k, v in schema.items() if k not in (key, "type", "discriminator")}
                branch = self.flat(self.branch(schema[key], depth))
                return self.value(_merged(rest, branch), name, depth)
        kind = self.kind(schema)
        make = getattr(self, f"make_{kind}", None)
        return make(schema, name, depth) if make else None

    def flat(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema with its $ref followed and its allOf merged in."""
        seen = 0
        while "$ref" in schema and seen < 20:
            target = self.pointed(str(schema["$ref"]))
            schema = _merged(target, {k: v for k, v in schema.items() if k != "$ref"})
            seen += 1
        for part in schema.get("allOf") or ():
            if isinstance(part, dict):
                schema = _merged({k: v for k, v in schema.items() if k != "allOf"}, self.flat(part))
        return schema

    def pointed(self, ref: str) -> dict[str, Any]:
        node: Any = self.root
        for part in ref.lstrip("#").strip("/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and name.isdigit() and int(name) < len(node):
                node = node[int(name)]
            elif name and isinstance(node, dict):
                node = node.get(name, {})
        return node if isinstance(node, dict) else {}

    def branch(self, options: list[Any], depth: int) -> dict[str, Any]:
        """The branch to take: something rather than null, except when deep, where the smallest wins."""
        usable = [option for option in options if isinstance(option, dict)] or [{}]
        if depth >= DEPTH:
            return min(usable, key=lambda option: len(json.dumps(option)))
        solid = [option for option in usable if str(option.get("type", "")).lower() != "null"]
        return (solid or usable)[0]

    @staticmethod
    def kind(schema: dict[str, Any]) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((item for item in kind if item != "null"), "null")
        if not kind:
            if "properties" in schema or "additionalProperties" in schema:
                return "object"
            if "items" in schema or "prefixItems" in schema:
                return "array"
            if "minimum" in schema or "maximum" in schema:
                return "number"
            return "string"
        return str(kind).lower()

    def make_null(self, schema: dict[str, Any], name: str, depth: int) -> None:
        return None

    def make_boolean(self, schema: dict[str, Any], name: str, depth: int) -> bool:
        return self.rng.random() < 0.7

    def make_integer(self, schema: dict[str, Any], name: str, depth: int) -> int:
        low, high = _bounds(schema, 1)
        if low is None and high is None:
            low, high = (60, 95) if "score" in name.lower() else (1, 40)
        low = high - 20 if low is None and high is not None else low
        assert low is not None
        high = low + 20 if high is None else high
        step = int(schema.get("multipleOf") or 1) or 1
        first, last = math.ceil(low / step), math.floor(high / step)
        return self.rng.randint(first, max(first, last)) * step

    def make_number(self, schema: dict[str, Any], name: str, depth: int) -> float:
        low, high = _bounds(schema, 1e-3)
        if low is None and high is None:
            low, high = 0.0, 1.0
        low = high - 1.0 if low is None and high is not None else low
        assert low is not None
        high = low + 1.0 if high is None else high
        step = schema.get("multipleOf")
        if step:
            return float(math.ceil(low / step) * step)
        number = round(self.rng.uniform(low, high), 3)
        return float(min(max(number, low), high))

    def make_string(self, schema: dict[str, Any], name: str, depth: int) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        if schema.get("pattern"):
            return patterns.sample(str(schema["pattern"]), self.rng)
        text = _BY_NAME.get(name.lower()) or self.rng.choice(_WORDS)
        shortest, longest = int(schema.get("minLength") or 0), schema.get("maxLength")
        while len(text) < shortest:
            text = f"{text} {self.rng.choice(_WORDS)}"
        return text[: max(shortest, int(longest))] if longest is not None else text

    def make_array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        least = int(schema.get("minItems") or 0)
        most = schema.get("maxItems")
        size = least if depth >= DEPTH else max(least, self.rng.randint(1, 3))
        size = size if most is None else min(size, int(most))
        first: list[Any] = schema.get("prefixItems") or []
        items = schema.get("items", {})
        if isinstance(items, list):
            first, items = items, schema.get("additionalItems", {})
        made = [self.value(part, name, depth + 1) for part in first]
        if items is False:
            return made
        tries = 0
        while len(made) < size and tries < 200:
            item = self.value(items, name.rstrip("s"), depth + 1)
            tries += 1
            if schema.get("uniqueItems") and item in made:
                continue
            made.append(item)
        return made

    def make_object(self, schema: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        properties: dict[str, Any] = schema.get("properties") or {}
        required = list(schema.get("required") or ())
        made: dict[str, Any] = {}
        for key, part in properties.items():
            if key in required or depth < DEPTH // 2:
                made[key] = self.value(part, key, depth + 1)
        extra = schema.get("additionalProperties", {})
        for key in required:
            if key not in made:
                made[key] = self.value(extra if isinstance(extra, dict) else {}, key, depth + 1)
        wanted = int(schema.get("minProperties") or 0)
        if not properties and isinstance(extra, dict) and extra and depth < DEPTH:
            wanted = max(wanted, 1)
        number = 0
        while len(made) < wanted:
            number += 1
            made.setdefault(f"item_{number}", self.value(extra if isinstance(extra, dict) else {}, "", depth + 1))
        return made


def _bounds(schema: dict[str, Any], step: float) -> tuple[Any, Any]:
    """Inclusive bounds; ``step`` is what an exclusive bound is moved by. Old boolean exclusives count too."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is True and low is not None:
        low = low + step
    elif isinstance(above, int | float) and not isinstance(above, bool):
        low = above + step if low is None else max(low, above + step)
    if below is True and high is not None:
        high = high - step
    elif isinstance(below, int | float) and not isinstance(below, bool):
        high = below - step if high is None else min(high, below - step)
    return low, high


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = {**base, **over}
    if "properties" in base and "properties" in over:
        out["properties"] = {**base["properties"], **over["properties"]}
    if "required" in base and "required" in over:
        out["required"] = list(dict.fromkeys([*base["required"], *over["required"]]))
    return out
