"""A prompt with fields and rows of values as requests. Pure. ``{name}`` is replaced, ``{{name}}``
stands for ``{name}`` itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from llm_gateway.core.errors import InvalidRequest

_FIELD = re.compile(r"\{\{([^{}\n]+)\}\}|\{([^{}\n]+)\}")
_WORD = re.compile(r"\w+")


def requests_of(
    prompt: str, rows: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any], request_fields: Collection[str]
) -> Iterator[dict[str, Any]]:
    """One request per row. ``defaults``: fields of each request, those in ``request_fields``, and
    values for rows that lack one. Raises :class:`InvalidRequest` naming row and field."""
    if defaults.get("stream"):
        raise InvalidRequest("`defaults.stream`: a line of a batch cannot stream; leave it out.", param="defaults.stream")
    fields = {name: value for name, value in defaults.items() if name in request_fields}
    for number, row in enumerate(rows, 1):
        if row.get("stream"):
            raise InvalidRequest(f"Row {number}, `stream`: a line of a batch cannot stream; leave it out.", param="stream")

        def value(name: str, row: Mapping[str, Any] = row, number: int = number) -> str:
            found = row.get(name, defaults.get(name))
            if found is None:
                raise InvalidRequest(f"Row {number} has no value for the field `{name}`.", param=f"rows.{number}.{name}")
            return found if isinstance(found, str) else str(found)

        yield {"custom_id": str(row.get("custom_id") or f"row-{number}"), **fields, "prompt": filled(prompt, value)}


def filled(prompt: str, value: Any, known: Collection[str] = ()) -> str:
    """``value(name)`` in the place of each field. A field is a word; names in ``known`` may be
    anything."""

    def put(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not (_WORD.fullmatch(name) or name in known):
            return match[0]
        return "{" + name + "}" if match[1] is not None else str(value(name))

    return _FIELD.sub(put, prompt)


def fields_of(prompt: str, known: Collection[str] = ()) -> list[str]:
    """The names of the fields, in order, each once."""
    found: dict[str, None] = {}

    def note(name: str) -> str:
        found[name] = None
        return ""

    filled(prompt, note, known)
    return list(found)
