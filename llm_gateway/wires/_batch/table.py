"""Uploads as lines of batches: a table (CSV), or JSONL of any dialect. Pure.

A table has a line of headings. With a prompt, its ``{column}``s are filled from each row; without,
the column ``prompt`` is the prompt, or the only column there is. A column ``custom_id`` names the
requests.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from llm_gateway.core import json

from ._base import Fault
from .openai import KINDS
from .rows import fields_of, filled

PROMPT, CUSTOM_ID = "prompt", "custom_id"
MOST_COLUMNS = 200
LONGEST_CELL = 32 << 20
_DELIMITERS = ",;\t|"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A request's line as it was found. ``number``: of its line in the upload, from 1. ``text``: as
    the dialect has it, or why not."""

    number: int
    text: bytes | Fault


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines of a JSONL file are: the dialect, its endpoint, and whether a model beside the
    file is used."""

    dialect: str
    endpoint: str
    takes_model: bool


class _Line(msgspec.Struct):
    url: Any = None
    body: msgspec.Raw = msgspec.Raw(b"")
    params: msgspec.Raw = msgspec.Raw(b"")
    request: msgspec.Raw = msgspec.Raw(b"")


_line = msgspec.json.Decoder(_Line)


def kind_of(line: bytes) -> Kind:
    """By the first line. What is no JSON at all counts as native: reading it says why."""
    try:
        found = _line.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return Kind(dialect="native", endpoint="generate", takes_model=True)
    if found.body:
        url = found.url if isinstance(found.url, str) and found.url in KINDS else next(iter(KINDS))
        return Kind(dialect="openai", endpoint=url, takes_model=False)
    if found.params:
        return Kind(dialect="anthropic", endpoint="/v1/messages", takes_model=False)
    if found.request:
        return Kind(dialect="gemini", endpoint="generateContent", takes_model=True)
    return Kind(dialect="native", endpoint="generate", takes_model=True)


def json_lines(lines: Iterable[tuple[int, bytes]], kind: Kind, defaults: Mapping[str, Any]) -> Iterator[Upload]:
    """Of numbered lines; blank ones are left out. ``defaults``: fields that native requests get
    where they have none of their own; requests without a ``custom_id`` are named after their
    line."""
    for number, line in lines:
        if not line.strip():
            continue
        yield Upload(number=number, text=_with_defaults(line, number, defaults) if kind.dialect == "native" else line)


def _with_defaults(line: bytes, number: int, defaults: Mapping[str, Any]) -> bytes | Fault:
    try:
        found = json.loads(line)
    except json.InvalidJson as error:
        return Fault("", f"The line is no JSON object: {str(error)[:150]}.", "invalid_json_line")
    if not isinstance(found, dict):
        return Fault("", "The line is no JSON object.", "invalid_json_line")
    whole = {CUSTOM_ID: f"line-{number}", **defaults}
    if "strategy" in found:
        whole.pop("model", None)
    if found.get("kind") == "analyze":
        whole.pop("score", None)
    # Keys that are there keep their place and their value.
    missing = {name: value for name, value in whole.items() if found.get(name) is None}
    return json.dumps({**found, **missing}) if missing else line


def table(pieces: Iterable[bytes], prompt: str, defaults: Mapping[str, Any]) -> Iterator[Upload]:
    """A request per row; blank rows are left out. Raises :class:`Fault` for what is wrong with the
    table as a whole."""
    # The limit is the interpreter's, and a cell is a prompt.
    csv.field_size_limit(LONGEST_CELL)
    text = _texts(pieces)
    head = next(text, "")
    if not head.strip():
        raise Fault("", "The table is empty; its first line has to name the columns.")
    rows = csv.reader(_again(head, text), delimiter=_delimiter(head), strict=True)
    names = _headings(next(_safe(rows)))
    column = _prompt_column(prompt, names)
    number = 0
    for row in _safe(rows):
        if any(cell.strip() for cell in row):
            number += 1
            yield Upload(
                number=rows.line_num, text=_request(row, names, prompt or "{" + column + "}", {CUSTOM_ID: f"row-{number}", **defaults})
            )


def _request(row: list[str], names: list[str], prompt: str, defaults: Mapping[str, Any]) -> bytes | Fault:
    if len(row) != len(names):
        return Fault("", f"The row has {len(row)} cells and the table {len(names)} columns; quote cells that hold the separator.")
    cells = dict(zip(names, row, strict=True))
    if "\x00" in "".join(row):
        return Fault("", "The row holds a NUL.")
    told = filled(prompt, cells.__getitem__, names)
    if not told.strip():
        return Fault(PROMPT, "The prompt is blank.")
    named = {CUSTOM_ID: own} if (own := cells.get(CUSTOM_ID, "").strip()) else {}
    return json.dumps({**defaults, **named, PROMPT: told})


def _headings(row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    if len(names) > MOST_COLUMNS:
        raise Fault("", f"The table has {len(names)} columns; at most {MOST_COLUMNS} are read.")
    if "" in names:
        raise Fault("", f"Column {names.index('') + 1} has no heading; the first line has to name every column.")
    if double := next((name for name in names if names.count(name) > 1), None):
        raise Fault("", f"Two columns are called `{double[:60]}`.")
    return names


def _prompt_column(prompt: str, names: list[str]) -> str:
    """Where the prompt is, if none was written. Raises :class:`Fault` for a prompt with fields that
    are no columns."""
    columns = ", ".join(f"`{name[:60]}`" for name in names[:20])
    if prompt:
        if missing := [name for name in fields_of(prompt, names) if name not in names]:
            raise Fault(PROMPT, f"The prompt has the field `{{{missing[0][:60]}}}`, and the table has no such column; it has {columns}.")
        return ""
    others = [name for name in names if name != CUSTOM_ID]
    if PROMPT in names:
        return PROMPT
    if len(others) != 1:
        raise Fault(PROMPT, f"Which column is the prompt? Call one `prompt`, or write a prompt with {{fields}}; the table has {columns}.")
    return others[0]


def _delimiter(head: str) -> str:
    """The one that the headings have most of, outside quotes."""
    outside = "".join(head.split('"')[::2])
    return max(_DELIMITERS, key=lambda one: (outside.count(one), one == ","))


def _texts(pieces: Iterable[bytes]) -> Iterator[str]:
    """Lines with their ends. UTF-8, or UTF-16 with its mark, as spreadsheets write them."""
    decoder: codecs.IncrementalDecoder | None = None
    begun: list[str] = []
    at, size = 1, 0
    for piece in pieces:
        if decoder is None:
            decoder = codecs.getincrementaldecoder("utf-16" if piece[:2] in _UTF16 else "utf-8-sig")()
        first, *more = _decoded(decoder, piece, at, last=False).split("\n")
        at += len(more)
        begun.append(first)
        if more:
            yield "".join(begun) + "\n"
            *whole, rest = more
            yield from (line + "\n" for line in whole)
            begun, size = [rest], 0
        size += len(begun[-1])
        if size > LONGEST_CELL:
            raise Fault("", f"A line is longer than {LONGEST_CELL >> 20} MB.", "line_too_long")
    if decoder is not None:
        begun.append(_decoded(decoder, b"", at, last=True))
    if rest := "".join(begun):
        yield rest


def _decoded(decoder: codecs.IncrementalDecoder, piece: bytes, at: int, *, last: bool) -> str:
    try:
        return decoder.decode(piece, last)
    except UnicodeDecodeError as error:
        line = at + bytes(error.object[: error.start]).count(b"\n")
        raise Fault("", f"Line {line} is not UTF-8; save the table as “CSV UTF-8”.", "invalid_encoding") from None


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _safe(rows: Any) -> Iterator[list[str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise Fault("", f"Line {rows.line_num} cannot be read as CSV: {error}.", "invalid_csv") from None
