"""Rows into the database by the thousand, as the driver takes them fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import connection, models, transaction


def write(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert ``rows``, each with a value for every attribute that any of them has; the others get their defaults. Returns how many."""
    if not rows:
        return 0
    given = dict.fromkeys(name for row in rows for name in row)
    fields = [f for f in model._meta.concrete_fields if f.attname in given or not (f.null or f.primary_key)]
    named = {field.attname for field in fields}
    assert set(given) <= named, f"{model.__name__} has no {', '.join(set(given) - named)}"
    plain = [(field.attname, _ready(field, field.get_default()), _prepared(field)) for field in fields]
    lines = [
        [
            default if (value := row.get(name, _MISSING)) is _MISSING else value if value is None or prepare is None else prepare(value)
            for name, default, prepare in plain
        ]
        for row in rows
    ]
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    sql = f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({columns}) VALUES ({marks})"  # noqa: S608  # our own names
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(sql, lines)
    return len(rows)


_MISSING = object()
# What the drivers of both databases take as it is.
_PLAIN = (models.IntegerField, models.BooleanField, models.CharField, models.FloatField, models.TextField, models.ForeignKey)


def _ready(field: Any, value: Any) -> Any:
    return field.get_db_prep_save(value, connection)


def _prepared(field: Any) -> Callable[[Any], Any] | None:
    """What makes a value one of the column's; ``None``: nothing has to."""
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    return None if isinstance(target, _PLAIN) else partial(_ready, field)


def move_back(rows: Iterable[models.Model], **moments: Any) -> None:
    """Give rows that exist the times at which they would have been made."""
    for row in rows:
        models.QuerySet.update(type(row)._default_manager.filter(pk=row.pk), **moments)
