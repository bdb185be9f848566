"""A string matching a regular expression, for the patterns that occur in tool schemas."""

from __future__ import annotations

import random
import re
from typing import Any

_parser: Any = re._parser  # type: ignore[attr-defined]  # the stdlib parser has no public name
_CATEGORIES = {"CATEGORY_DIGIT": "0123456789", "CATEGORY_WORD": "abcdefghij", "CATEGORY_SPACE": " "}


def sample(pattern: str, rng: random.Random) -> str:
    """A match of ``pattern``, or the text "value" when it uses what is not understood here."""
    try:
        text = _sequence(_parser.parse(pattern), rng, {})
        return text if re.search(pattern, text) else "value"
    except (re.error, KeyError, RecursionError, OverflowError):
        return "value"


def _sequence(nodes: Any, rng: random.Random, groups: dict[int, str]) -> str:
    return "".join(_one(str(op), arg, rng, groups) for op, arg in nodes)


def _one(op: str, arg: Any, rng: random.Random, groups: dict[int, str]) -> str:
    if op == "LITERAL":
        return chr(arg)
    if op == "NOT_LITERAL":
        return "b" if chr(arg) == "a" else "a"
    if op == "ANY":
        return "a"
    if op == "IN":
        return _in_set(arg, rng)
    if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, inner = arg
        times = min(int(most), max(int(least), 1 if least else 2))
        return "".join(_sequence(inner, rng, groups) for _ in range(times))
    if op == "SUBPATTERN":
        text = _sequence(arg[3], rng, groups)
        if arg[0] is not None:
            groups[arg[0]] = text
        return text
    if op == "BRANCH":
        return _sequence(arg[1][0], rng, groups)
    if op == "GROUPREF":
        return groups.get(arg, "")
    if op == "CATEGORY":
        return rng.choice(_CATEGORIES[str(arg)])
    return ""


def _in_set(items: Any, rng: random.Random) -> str:
    if str(items[0][0]) == "NEGATE":
        banned = _members(items[1:])
        return next(char for char in "abcxyzABC0129-_ ./" if char not in banned)
    return rng.choice(_members(items))


def _members(items: Any) -> str:
    out = ""
    for op, arg in items:
        if str(op) == "LITERAL":
            out += chr(arg)
        elif str(op) == "RANGE":
            out += "".join(chr(code) for code in range(arg[0], min(arg[1], arg[0] + 40) + 1))
        elif str(op) == "CATEGORY":
            out += _CATEGORIES[str(arg)]
    return out
