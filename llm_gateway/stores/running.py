"""How the journal's statements reach the database: on the driver's own cursor, in a transaction of the journal's or of Django's.

A row that a statement was promised to change and did not is told by :meth:`Runner.kept`: the caller rolls back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from django.db import connection

from . import connecting
from .statements import Rows, Statement


class Runner:
    """One connection's statements. ``begin``, then ``end`` or ``undo``; inside a transaction of Django's neither."""

    # Whether ``begin`` works here.
    short = True

    def begin(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError

    def undo(self) -> None:
        """Roll back, whatever went wrong. A connection that cannot is closed."""
        raise NotImplementedError

    def many(self, statement: Statement, rows: Rows, *, promised: bool = False) -> None:
        """``promised``: each row changes one row of the table."""
        raise NotImplementedError

    def kept(self) -> bool:
        """Whether every promise since ``begin`` was kept."""
        raise NotImplementedError

    def select(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """``sql`` marks its parameters as :meth:`marks` does."""
        raise NotImplementedError

    def marks(self, count: int) -> str:
        raise NotImplementedError


class SQLiteRunner(Runner):
    def __init__(self) -> None:
        self._broken = False

    def begin(self) -> None:
        self._broken = False
        connection.ensure_connection()
        with connection.wrap_database_errors:
            connection.connection.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        with connection.wrap_database_errors:
            connection.connection.execute("COMMIT")

    def undo(self) -> None:
        try:
            connection.connection.rollback()
        except Exception:
            _drop()

    def many(self, statement: Statement, rows: Rows, *, promised: bool = False) -> None:
        if not rows:
            return
        # The driver's own cursor raises the driver's own errors.
        with connection.wrap_database_errors:
            execute = connection.connection.execute
            for sql, parameters, count in statement.pieces(rows):
                found = execute(sql, parameters).rowcount
                if promised and found != count:
                    self._broken = True

    def kept(self) -> bool:
        return not self._broken

    def select(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        with connection.wrap_database_errors:
            return connection.connection.execute(sql, parameters).fetchall()  # type: ignore[no-any-return]

    def marks(self, count: int) -> str:
        return ", ".join("?" * count)


class PostgresRunner(Runner):
    """Between ``begin`` and ``end`` statements are sent without waiting for the answer to the one before: a batch takes a round trip to
    read and one to write."""

    def __init__(self) -> None:
        from psycopg import Pipeline, RawCursor

        self._cursor = RawCursor
        self.short = Pipeline.is_supported()
        self._stack: contextlib.ExitStack | None = None
        self._pipe: Any = None
        self._promises: list[tuple[Any, int]] = []
        self._unread = False

    def begin(self) -> None:
        self._promises = []
        connection.ensure_connection()
        with connection.wrap_database_errors:
            self._stack = contextlib.ExitStack()
            self._pipe = self._stack.enter_context(connection.connection.pipeline())
            self._execute("BEGIN")
            limits = (f"{connecting.LOCK_WAIT_MS}", f"{2 * connecting.LOCK_WAIT_MS}")
            self._execute("SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)", limits)

    def end(self) -> None:
        with connection.wrap_database_errors:
            last = self._execute("COMMIT")
            self._leave()
        if last.statusmessage != "COMMIT":
            raise RuntimeError(f"the commit ended as {last.statusmessage}")

    def undo(self) -> None:
        with contextlib.suppress(Exception):
            self._leave()
        try:
            connection.connection.execute("ROLLBACK")
        except Exception:
            _drop()

    def many(self, statement: Statement, rows: Rows, *, promised: bool = False) -> None:
        if not rows:
            return
        with connection.wrap_database_errors:
            for sql, parameters, count in statement.pieces(rows):
                cursor = self._execute(sql, parameters)
                if promised and self._pipe is not None:
                    self._promises.append((cursor, count))
                    self._unread = True

    def kept(self) -> bool:
        if self._unread:
            with connection.wrap_database_errors:
                self._pipe.sync()
            self._unread = False
        return all(cursor.rowcount == count for cursor, count in self._promises)

    def select(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        with connection.wrap_database_errors:
            found = self._execute(sql, parameters).fetchall()
        # Answers come in order: those of the statements before it are here, too.
        self._unread = False
        return found  # type: ignore[no-any-return]

    def marks(self, count: int) -> str:
        return ", ".join(f"${place}" for place in range(1, count + 1))

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        return self._cursor(connection.connection).execute(sql, parameters)

    def _leave(self) -> None:
        stack, self._stack, self._pipe = self._stack, None, None
        if stack is not None:
            stack.close()


def _drop() -> None:
    try:
        connection.close()
    except Exception:
        connection.connection = None


def runner() -> Runner:
    return SQLiteRunner() if connection.vendor == "sqlite" else PostgresRunner()
