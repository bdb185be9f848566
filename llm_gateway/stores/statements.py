"""One statement for many rows, as SQLite and PostgreSQL take it.

SQLite gets ``VALUES`` of a fixed number of new rows, so that the driver finds the statement prepared and lets go of the interpreter's
lock once for all of them. PostgreSQL gets the rows as one JSON text, so that a batch is one message.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from django.db import connection, models

Rows = Sequence[tuple[Any, ...]]
# So many rows go into one statement of SQLite, in powers of two: a driver keeps 128 prepared.
MOST = 32


class Statement(ABC):
    """``columns``: what each row gives, in order. Rendered once for each number of rows."""

    def __init__(self, model: type[models.Model], columns: Sequence[str]) -> None:
        self.table = f'"{model._meta.db_table}"'
        self.columns = tuple(columns)
        fields = {field.column: field for field in model._meta.concrete_fields}
        self._fields = [fields[name] for name in columns]
        self.sqlite = connection.vendor == "sqlite"
        self._rendered: dict[int, str] = {}
        if not self.sqlite:
            self._json = [isinstance(field, models.JSONField) for field in self._fields]
            types = [_type(field) for field in self._fields]
            self._record = ", ".join(f'"{name}" {kind}' for name, kind in zip(self.columns, types, strict=True))

    def sql(self, count: int) -> str:
        """For ``count`` rows at once; on PostgreSQL for at most as many."""
        found = self._rendered.get(count)
        if found is None:
            found = self._rendered[count] = self._sqlite(count) if self.sqlite else self._postgres(count)
        return found

    def pieces(self, rows: Rows) -> Iterator[tuple[str, list[Any], int]]:
        """(SQL, parameters, rows in it), until all of ``rows`` are in one."""
        if not self.sqlite:
            # The limit is what the planner takes for the number of rows.
            size = 1 << (len(rows) - 1).bit_length()
            values = msgspec.json.encode([dict(zip(self.columns, row, strict=True)) for row in rows])
            yield self.sql(size), [values], len(rows)
            return
        start = 0
        while left := len(rows) - start:
            size = min(MOST, 1 << (left.bit_length() - 1))
            piece = rows[start : start + size]
            yield self.sql(size), list(piece[0]) if size == 1 else [value for row in piece for value in row], size
            start += size

    @abstractmethod
    def _sqlite(self, count: int) -> str: ...

    @abstractmethod
    def _postgres(self, count: int) -> str: ...

    def _source(self, count: int) -> str:
        return f"(SELECT * FROM json_to_recordset($1::json) AS given({self._record}) LIMIT {count}) AS x"  # noqa: S608  # our own names

    def _x(self, name: str) -> str:
        """The value of a column in a row given to PostgreSQL. JSON comes as a text, which cannot break out of its place."""
        return f'x."{name}"::jsonb' if self._json[self.columns.index(name)] else f'x."{name}"'


class Insert(Statement):
    """Columns that are not named get their field's default: the database knows none."""

    def __init__(self, model: type[models.Model], columns: Sequence[str], more: str = "") -> None:
        super().__init__(model, columns)
        self._more = more
        unnamed = [f for f in model._meta.concrete_fields if f.column not in columns and not f.primary_key and not f.null]
        self._rest = [_literal(field.get_default(), self.sqlite) for field in unnamed]
        self._names = ", ".join(f'"{name}"' for name in (*columns, *(field.column for field in unnamed)))

    def _sqlite(self, count: int) -> str:
        row = ", ".join((*("?" * len(self.columns)), *self._rest))
        values = ", ".join([f"({row})"] * count)
        return f"INSERT INTO {self.table} ({self._names}) VALUES {values} {self._more}"  # noqa: S608  # our own names and defaults

    def _postgres(self, count: int) -> str:
        values = ", ".join((*(self._x(name) for name in self.columns), *self._rest))
        return f"INSERT INTO {self.table} ({self._names}) SELECT {values} FROM {self._source(count)} {self._more}"  # noqa: S608  # our own names and defaults


class Update(Statement):
    """A row gives its ``keys``, then the ``columns`` it sets. ``where``: more that has to be true, our own literals. On SQLite each row is
    an execution of its own: where statistics are older than the rows, ``UPDATE … FROM`` reads the whole table.

    Only the first key may choose an index. Either database may take the one over ``state`` (or over budget, period and state) for the
    narrower one and read all that is in it."""

    def __init__(self, model: type[models.Model], keys: Sequence[str], columns: Sequence[str], **where: str) -> None:
        super().__init__(model, (*keys, *columns))
        self._keys, self._set, self._where = tuple(keys), tuple(columns), where

    def _sqlite(self, count: int) -> str:
        first, *others = self._keys
        sets = ", ".join(f'"{name}" = ?{place}' for place, name in enumerate(self._set, len(self._keys) + 1))
        same = [f'"{first}" = ?1', *(unindexed(f'"{name}"') + f" = ?{place}" for place, name in enumerate(others, 2))]
        fixed = [unindexed(f'"{name}"') + f" = '{value}'" for name, value in self._where.items()]
        return f"UPDATE {self.table} SET {sets} WHERE {' AND '.join((*same, *fixed))}"  # noqa: S608  # our own names

    def _postgres(self, count: int) -> str:
        sets = ", ".join(f'"{name}" = {self._x(name)}' for name in self._set)
        words = {field.column: isinstance(field, models.CharField) for field in self._fields}
        first, *others = self._keys
        same = [f't."{first}" = x."{first}"', *(unindexed(f't."{name}"', words[name]) + f' = x."{name}"' for name in others)]
        fixed = [unindexed(f't."{name}"') + f" = '{value}'" for name, value in self._where.items()]
        return f"UPDATE {self.table} AS t SET {sets} FROM {self._source(count)} WHERE {' AND '.join((*same, *fixed))}"  # noqa: S608  # our own names


def unindexed(column: str, text: bool = True) -> str:
    """The same value, by which no index is chosen."""
    if connection.vendor == "sqlite":
        return f"+{column}"
    return f"({column} || '')" if text else f"({column} + 0)"


def _type(field: models.Field[Any, Any]) -> str:
    """How a value is read from JSON: lengths are the column's own to refuse."""
    if isinstance(field, models.JSONField):
        return "text"
    found = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    assert found is not None
    return found.partition("(")[0]


def _literal(value: Any, sqlite: bool) -> str:
    match value:
        case bool():
            return str(int(value)) if sqlite else str(value).upper()
        case int():
            return str(value)
        case str() if "'" not in value:
            return f"'{value}'"
        case None:
            return "NULL"
        case dict() | list():
            return f"'{json.dumps(value)}'"
        case _:
            raise TypeError(f"no SQL literal for {value!r}")
