"""Values made from a schema validate against it."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest

from llm_gateway.simulator import patterns, schema
from llm_gateway.simulator.rng import seeded

SCHEMAS: dict[str, Any] = {
    "bounds": {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": 3, "maximum": 3},
            "b": {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
            "c": {"type": "number", "minimum": 0.5, "maximum": 0.6},
            "d": {"type": "integer", "multipleOf": 7, "minimum": 50},
            "e": {"type": "integer", "maximum": -10},
            "f": {"type": "number", "exclusiveMinimum": 0},
        },
        "required": ["a", "b", "c", "d", "e", "f"],
    },
    "strings": {
        "type": "object",
        "properties": {
            "short": {"type": "string", "maxLength": 5},
            "long": {"type": "string", "minLength": 200},
            "pattern": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,}$"},
            "id": {"type": "string", "format": "uuid"},
            "at": {"type": "string", "format": "date-time"},
        },
        "required": ["short", "long", "pattern", "id", "at"],
    },
    "arrays": {
        "type": "array",
        "minItems": 4,
        "maxItems": 4,
        "uniqueItems": True,
        "items": {"enum": ["a", "b", "c", "d"]},
    },
    "tuple": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    "unions": {
        "anyOf": [{"type": "null"}, {"type": "object", "properties": {"k": {"const": "x"}}, "required": ["k"]}],
    },
    "typelist": {"type": ["null", "integer"], "minimum": 2},
    "all": {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"required": ["b"]}]},
    "refs": {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                    "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
                },
                "required": ["name", "children", "next"],
                "additionalProperties": False,
            }
        },
    },
    "map": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    "anything": {},
    "discriminated": {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": "a"}, "n": {"type": "integer"}}, "required": ["kind", "n"]},
            {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"], "additionalProperties": False},
        ]
    },
    "required_without_properties": {"type": "object", "required": ["x", "y"]},
    "nested_defs": {
        "type": "object",
        "properties": {"p": {"$ref": "#/definitions/p"}},
        "required": ["p"],
        "definitions": {"p": {"type": "array", "items": {"$ref": "#/definitions/q"}, "minItems": 1}, "q": {"type": "boolean"}},
    },
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_examples_validate(name: str) -> None:
    for seed in range(25):
        jsonschema.validate(schema.example(SCHEMAS[name], seed), SCHEMAS[name])


def test_the_same_seed_makes_the_same_value() -> None:
    assert schema.example(SCHEMAS["refs"], 3) == schema.example(SCHEMAS["refs"], 3)


@pytest.mark.parametrize(
    "pattern", ["^a+b?$", "[0-9]{4}-[0-9]{2}", "^(foo|bar)_\\w+$", "^[^/]+/[^/]+$", "\\d+", "^$", "(a)(b)\\2", "^.{3,5}$"]
)
def test_patterns_are_matched(pattern: str) -> None:
    assert re.search(pattern, patterns.sample(pattern, seeded(1)))


def test_patterns_beyond_reach_fall_back() -> None:
    assert patterns.sample("(?=x)y", seeded(1)) == "value"
    assert patterns.sample("(", seeded(1)) == "value"
