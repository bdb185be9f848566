"""How the journal's statements reach the database: on the driver's own connection, in a transaction of the journal's or of Django's.

A row that a statement was promised to change and did not is told by :meth:`Runner.kept`: the caller rolls back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from django.db import connection

from . import connecting
from .statements import Rows, Statement, Update

# Every row is named by a key. Told to doubt everything else, PostgreSQL's planner cannot mistake a table that has grown for a small one.
_BY_KEYS = tuple(f"SET LOCAL enable_{way} = off" for way in ("seqscan", "hashjoin", "mergejoin"))


class Runner(Protocol):
    """One connection's statements. ``begin``, then ``end`` or ``undo``; inside a transaction of Django's none of them."""

    def begin(self) -> None: ...

    def by_keys(self) -> None:
        """The same choice of indexes for the rest of a transaction of Django's as ``begin`` makes."""
        ...

    def end(self) -> None:
        """Returns once it is committed."""
        ...

    def undo(self) -> None:
        """Roll back, whatever went wrong. A connection that cannot is closed."""
        ...

    def many(self, statement: Statement, rows: Rows, *, promised: bool = False) -> None:
        """``promised``: each row changes one row of the table."""
        ...

    def kept(self) -> bool:
        """Whether every promise since ``begin`` was kept."""
        ...

    def among(self, sql: str, ids: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of ``sql``, in which ``{}`` stands where a column is compared with ``ids``: integers, or requests as they are stored."""
        ...


class SQLiteRunner:
    def __init__(self) -> None:
        self._broken = False
        # The driver's connection and its errors, looked up once a transaction: Django's own way to them costs as much as a statement.
        self._begun: tuple[Any, Any] | None = None

    def begin(self) -> None:
        self._broken = False
        connection.ensure_connection()
        self._begun = connection.connection, connection.wrap_database_errors
        self._execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        self._execute("COMMIT")
        self._begun = None

    def by_keys(self) -> None:
        """The statements themselves forbid other indexes."""

    def undo(self) -> None:
        self._begun = None
        try:
            connection.connection.rollback()
        except Exception:
            _drop()

    def many(self, statement: Statement, rows: Rows, *, promised: bool = False) -> None:
        if not rows:
            return
        if isinstance(statement, Update):
            found = self._execute(statement.sql(1), rows, many=True).rowcount
            self._broken |= promised and found != len(rows)
            return
        for sql, parameters, _ in statement.pieces(rows):
            self._execute(sql, parameters)

    def kept(self) -> bool:
        return not self._broken

    def among(self, sql: str, ids: Sequence[Any]) -> list[tuple[Any, ...]]:
        found = self._execute(sql.format(f"IN ({', '.join('?' * len(ids))})"), ids)
        return found.fetchall()  # type: ignore[no-any-return]

    def _execute(self, sql: str, parameters: Sequence[Any] = (), *, many: bool = False) -> Any:
        raw, errors = self._begun or (connection.connection, connection.wrap_database_errors)
        with errors:
            return raw.executemany(sql, parameters) if many else raw.execute(sql, parameters)


class PostgresRunner:
    """Between ``begin`` and ``end`` statements are collected and sent in one message, each time an answer is needed: a batch takes one
    round trip to change and read, and one to write."""

    def __init__(self) -> None:
        from psycopg import RawCursor
        from psycopg.pq import Escaping

        self._cursor, self._escaping = RawCursor, Escaping
        self._begun = False
        self._texts: list[str] = []
        # What each collected statement has to say of its rows; ``None``: anything.
        self._promises: list[int | None] = []
        self._broken = False

    def begin(self) -> None:
        connection.ensure_connection()
        self._begun, self._broken = True, False
        wait = connecting.LOCK_WAIT_MS
        self._texts = ["BEGIN", f"SET LOCAL lock_timeout = {wait}", f"SET LOCAL statement_timeout = {2 * wait}", *_BY_KEYS]
        self._promises = [None] * len(self._texts)

    def by_keys(self) -> None:
        for one in _BY_KEYS:
            self._add(one)
        self._send()

    def end(self) -> None:
        self._add("COMMIT")
        told = self._send().statusmessage
        self._begun = False
        if told != "COMMIT":
            raise RuntimeError(f"the commit ended as {told}")

    def undo(self) -> None:
        self._begun, self._texts, self._promises = False, [], []
        try:
            connection.connection.execute("ROLLBACK")
        except Exception:
            _drop()

    def many(self, statement: Statement, rows: Rows, *, promised: bool = False) -> None:
        for sql, parameters, count in statement.pieces(rows) if rows else ():
            with connection.wrap_database_errors:
                given = self._escaping(connection.connection.pgconn).escape_literal(parameters[0]).decode()
            self._add(sql.replace("$1", given, 1), count if promised else None)
        if not self._begun:
            self._send()

    def kept(self) -> bool:
        if any(count is not None for count in self._promises):
            self._send()
        return not self._broken

    def among(self, sql: str, ids: Sequence[Any]) -> list[tuple[Any, ...]]:
        listed = ", ".join(str(one) if isinstance(one, int) else f"'{one.hex}'" for one in ids)
        self._add(sql.format(f"IN ({listed})"))
        return self._send().fetchall()  # type: ignore[no-any-return]

    def _add(self, sql: str, promised: int | None = None) -> None:
        self._texts.append(sql)
        self._promises.append(promised)

    def _send(self) -> Any:
        """What was collected; the cursor stands at the answer to the last statement. Without parameters it is one simple query."""
        texts, promises, self._texts, self._promises = self._texts, self._promises, [], []
        with connection.wrap_database_errors:
            cursor = self._cursor(connection.connection)
            if not texts:
                return cursor
            cursor.execute("; ".join(texts))
            for place, count in enumerate(promises):
                if place:
                    cursor.nextset()
                if count is not None and cursor.rowcount != count:
                    self._broken = True
            return cursor


def _drop() -> None:
    try:
        connection.close()
    except Exception:
        connection.connection = None


def runner() -> Runner:
    return SQLiteRunner() if connection.vendor == "sqlite" else PostgresRunner()
