"""Whether each turn of an agent reaches its provider with the turn before as its beginning, so that a prompt cache finds it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

_LISTS = ("messages", "contents", "input")


def turns(entries: Iterable[dict[str, Any]]) -> list[bool]:
    """For each two requests of one conversation, in order: whether the second begins as the first, byte for byte.
    ``entries``: the simulator's journal. A conversation is told by its first words; beside requests with tools, those without are titles
    and summaries."""
    bodies = [_without_marks(json.loads(entry["body"])) for entry in entries if entry.get("body", "").startswith("{")]
    with_tools = [body for body in bodies if body.get("tools")]
    conversations: dict[str, list[dict[str, Any]]] = {}
    for body in with_tools or bodies:
        said = _said(body)
        asked = next((at for at, one in enumerate(said) if one.get("role") == "user"), 0)
        conversations.setdefault(json.dumps(said[: asked + 1]), []).append(body)
    return [_begins(one, two) for bodies in conversations.values() for one, two in pairwise(bodies)]


def _said(body: dict[str, Any]) -> list[Any]:
    return next((body[name] for name in _LISTS if isinstance(body.get(name), list)), [])


def _begins(one: dict[str, Any], two: dict[str, Any]) -> bool:
    rest = [{name: value for name, value in body.items() if name not in _LISTS} for body in (one, two)]
    head, whole = (json.dumps(_said(body)) for body in (one, two))
    return rest[0] == rest[1] and whole.startswith(head.removesuffix("]"))


def _without_marks(value: Any) -> Any:
    """Where the cache ends is no part of the prompt."""
    if isinstance(value, dict):
        return {name: _without_marks(one) for name, one in value.items() if name != "cache_control"}
    return [_without_marks(one) for one in value] if isinstance(value, list) else value
