"""A prompt with fields and rows of values as requests. Pure. ``{name}`` is replaced, ``{{name}}`` stands for ``{name}`` itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_gateway.core.errors import InvalidRequest

from .contract import GenerateRequest

_FIELD = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")
_REQUEST_FIELDS = frozenset(GenerateRequest.__struct_fields__) - {"prompt", "stream"}


def requests_of(prompt: str, rows: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One request per row. ``defaults``: fields of each request, and values for rows that lack one. Raises :class:`InvalidRequest` naming
    row and field."""
    if defaults.get("stream"):
        raise InvalidRequest("`defaults.stream`: a line of a batch cannot stream; leave it out.", param="defaults.stream")
    fields = {name: value for name, value in defaults.items() if name in _REQUEST_FIELDS}
    for number, row in enumerate(rows, 1):
        if row.get("stream"):
            raise InvalidRequest(f"Row {number}, `stream`: a line of a batch cannot stream; leave it out.", param="stream")

        def value(match: re.Match[str], row: Mapping[str, Any] = row, number: int = number) -> str:
            if match[1] is not None:
                return "{" + match[1] + "}"
            found = row.get(match[2], defaults.get(match[2]))
            if found is None:
                raise InvalidRequest(f"Row {number} has no value for the field `{match[2]}`.", param=f"rows.{number}.{match[2]}")
            return found if isinstance(found, str) else str(found)

        yield {"custom_id": str(row.get("custom_id") or f"row-{number}"), **fields, "prompt": _FIELD.sub(value, prompt)}
