"""One process migrates at a time, while the gateway's other processes keep writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from django.db import OperationalError, connections

from .preflight import CannotStart

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

# An arbitrary number; nothing else in this database locks it.
LOCK = 0x636F676F
PATIENCE_S = 600.0
LOOK_S = 0.5
# A statement that waits for a table also blocks every later writer of that table.
TABLE_WAIT_MS = 1000
TABLE_TRIES = 60

Say = Callable[[str], Any]


@contextmanager
def alone(say: Say, alias: str = "default", patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the lock that lets only one process migrate this database. Reports that it waits; gives
    up after ``patience_s``."""
    connection = connections[alias]
    locked = _postgresql(connection) if connection.vendor == "postgresql" else _sqlite(str(connection.settings_dict["NAME"]))
    with locked as (take, holder):
        deadline = time.monotonic() + patience_s
        told = False
        while not take():
            if not told:
                say("Another process is migrating this database; waiting for it")
                told = True
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"another process{holder()} has been migrating this database for {patience_s / 60:.0f} minutes; "
                    "see what it does and end it if it hangs, then start again"
                )
            Event().wait(LOOK_S)
        yield


@contextmanager
def _postgresql(connection: Any) -> Iterator[tuple[Callable[[], bool], Callable[[], str]]]:
    """The lock is a transaction's of a connection of its own: it ends with the process, and holds
    through PgBouncer as well."""
    import psycopg

    sql = (
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with closing(psycopg.connect(**connection.get_connection_params())) as own:
        own.execute("SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 0")

        def take() -> bool:
            return bool(own.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK]).fetchone()[0])  # type: ignore[index]

        def holder() -> str:
            found = own.execute(sql, [LOCK]).fetchone()
            return f" (PostgreSQL's process {found[0]})" if found else ""

        yield take, holder
        own.rollback()


@contextmanager
def _sqlite(name: str) -> Iterator[tuple[Callable[[], bool], Callable[[], str]]]:
    if fcntl is None or "memory" in name:  # type: ignore[redundant-expr]  # Windows has none
        yield (lambda: True), str
        return
    with Path(f"{name}.migrating").open("a") as file:

        def take() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        yield take, str


def patiently(work: Callable[[], Any], say: Say, alias: str = "default") -> None:
    """Run ``work``, a migration, so that no statement of it waits longer than a second for a table
    that is in use; until it comes through.

    What is migrated stays so between two tries: each migration is a transaction of its own."""
    connection = connections[alias]
    if connection.vendor != "postgresql":
        work()
        return
    with connection.execute_wrapper(_limited):
        for left in reversed(range(TABLE_TRIES)):
            try:
                work()
            except OperationalError as error:
                if not left or getattr(error.__cause__, "sqlstate", "") != "55P03":
                    raise
                if left == TABLE_TRIES - 1:
                    say("A table is in use; trying again each second until the migration gets its turn")
                Event().wait(LOOK_S)
            else:
                return


def _limited(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """The limit belongs to each transaction, set before its first statement."""
    from psycopg.pq import TransactionStatus

    connection = context["connection"]
    if connection.in_atomic_block and connection.connection.info.transaction_status == TransactionStatus.IDLE:
        connection.connection.execute(f"SET LOCAL lock_timeout = {TABLE_WAIT_MS}")
    return execute(sql, params, many, context)
