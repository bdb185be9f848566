"""Whether an error of the database is an outage or a bad row, by what the drivers really raise."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import DataError, IntegrityError, InterfaceError, InternalError, NotSupportedError, OperationalError, ProgrammingError
from django.db import Error as DatabaseError
from psycopg import errors
from psycopg_pool import PoolTimeout

from llm_gateway.core.errors import StoreBusy, StoreFull, StoreUnavailable
from llm_gateway.stores.outage import Verdict, judge, outage, store_error

_DJANGO = (DataError, IntegrityError, InternalError, NotSupportedError, ProgrammingError, OperationalError, InterfaceError, DatabaseError)


def wrapped(error: Exception, driver: Any = psycopg) -> Exception:
    """As Django hands on a driver's error."""
    kind = next(one for one in _DJANGO if isinstance(error, getattr(driver, one.__name__)))
    found = kind(str(error))
    found.__cause__ = error
    return found


OUTAGES = [
    (errors.ReadOnlySqlTransaction("cannot execute UPDATE in a read-only transaction"), StoreUnavailable),
    (errors.AdminShutdown("terminating connection due to administrator command"), StoreUnavailable),
    (errors.CrashShutdown("terminating connection because of crash of another server process"), StoreUnavailable),
    (errors.CannotConnectNow("the database system is starting up"), StoreUnavailable),
    (errors.TooManyConnections("sorry, too many clients already"), StoreBusy),
    (errors.LockNotAvailable("canceling statement due to lock timeout"), StoreBusy),
    (errors.QueryCanceled("canceling statement due to statement timeout"), StoreBusy),
    (errors.DiskFull("could not extend file"), StoreFull),
    (errors.OutOfMemory("out of memory"), StoreUnavailable),
    (errors.IdleInTransactionSessionTimeout("terminating connection due to idle-in-transaction timeout"), StoreUnavailable),
    (errors.InFailedSqlTransaction("current transaction is aborted"), StoreUnavailable),
    (errors.InsufficientPrivilege("permission denied for table"), StoreUnavailable),
    (errors.UndefinedTable("relation does not exist"), StoreUnavailable),
    (errors.UndefinedColumn("column does not exist"), StoreUnavailable),
    (errors.InvalidSqlStatementName("prepared statement does not exist"), StoreUnavailable),
    (errors.IoError("could not read block"), StoreUnavailable),
    (errors.DataCorrupted("invalid page"), StoreUnavailable),
    (errors.lookup("08006")("connection failure"), StoreUnavailable),
    (psycopg.OperationalError("connection refused"), StoreUnavailable),
    (psycopg.OperationalError("connection timeout expired"), StoreUnavailable),
    (psycopg.InterfaceError("the connection is closed"), StoreUnavailable),
    (psycopg.DatabaseError("something nobody has seen yet"), StoreUnavailable),
    (PoolTimeout("couldn't get a connection after 5.00 sec"), StoreUnavailable),
]


@pytest.mark.parametrize(("error", "told"), OUTAGES, ids=lambda value: type(value).__name__)
def test_what_a_server_says_when_it_takes_no_writes_is_an_outage(error: Exception, told: type) -> None:
    assert judge(wrapped(error)) is Verdict.OUTAGE
    assert type(store_error(wrapped(error))) is told


@pytest.mark.parametrize("error", [error for error, _ in OUTAGES[:10]], ids=lambda error: type(error).__name__)
def test_who_reads_is_told_of_it_as_an_outage_too(error: Exception) -> None:
    assert outage(wrapped(error)) is not None


@pytest.mark.parametrize(
    "error",
    [
        errors.UniqueViolation("duplicate key"),
        errors.CheckViolation("violates check constraint"),
        errors.ForeignKeyViolation("is not present in table"),
        errors.NotNullViolation("null value"),
        errors.StringDataRightTruncation("value too long"),
        errors.NumericValueOutOfRange("integer out of range"),
        errors.UntranslatableCharacter("\\u0000 cannot be converted to text"),
        psycopg.DataError("PostgreSQL text fields cannot contain NUL"),
        psycopg.ProgrammingError("cannot adapt type 'object'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_server_says_of_a_row_is_a_bad_row(error: Exception) -> None:
    assert judge(wrapped(error)) is Verdict.BAD_ROW


@pytest.mark.parametrize("error", [errors.DeadlockDetected("deadlock detected"), errors.SerializationFailure("could not serialize access")])
def test_who_lost_to_another_transaction_tries_again(error: Exception) -> None:
    assert judge(wrapped(error)) is Verdict.AGAIN
    assert isinstance(store_error(wrapped(error)), StoreBusy)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (OverflowError("Python int too large to convert to SQLite INTEGER"), Verdict.BAD_ROW),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), Verdict.BAD_ROW),
        (KeyError("row"), Verdict.BAD_ROW),
        (OSError(5, "Input/output error"), Verdict.OUTAGE),
        (MemoryError(), Verdict.OUTAGE),
        (RuntimeError("what is that"), Verdict.OUTAGE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_that_is_none_of_the_database_counts_as_what_it_is(error: Exception, verdict: Verdict) -> None:
    assert judge(error) is verdict


def of_sqlite(folder: Path, name: str) -> Exception:
    """The error that SQLite itself raises."""
    path = folder / "one.sqlite3"
    db = sqlite3.connect(path, isolation_level=None, timeout=0)
    db.execute("CREATE TABLE t (x INTEGER PRIMARY KEY CHECK (x < 100), y BLOB)")
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    statement, values = "INSERT INTO t VALUES (?, ?)", (1, b"")
    match name:
        case "busy":
            other.execute("BEGIN EXCLUSIVE")
        case "readonly":
            db.execute("PRAGMA query_only = ON")
        case "full":
            db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
            values = (1, b"x" * 100_000)
        case "ioerr":
            db.execute("PRAGMA cache_size = 0")
            path.write_bytes(b"")
        case "notadb":
            path.write_bytes(b"x" * 8192)
        case "check":
            values = (100, b"")
        case "type":
            values = (1, object())
    try:
        with pytest.raises(sqlite3.Error) as caught:
            db.execute(statement, values)
    finally:
        other.close()
        db.close()
    return wrapped(caught.value, sqlite3)


@pytest.mark.parametrize(
    ("name", "verdict", "told"),
    [
        ("busy", Verdict.OUTAGE, StoreBusy),
        ("readonly", Verdict.OUTAGE, StoreUnavailable),
        ("full", Verdict.OUTAGE, StoreFull),
        ("ioerr", Verdict.OUTAGE, StoreUnavailable),
        ("notadb", Verdict.OUTAGE, StoreUnavailable),
        ("check", Verdict.BAD_ROW, StoreUnavailable),
        ("type", Verdict.BAD_ROW, StoreUnavailable),
    ],
)
def test_sqlite_is_judged_by_its_codes(tmp_path: Path, name: str, verdict: Verdict, told: type) -> None:
    error = of_sqlite(tmp_path, name)
    assert judge(error) is verdict, repr(error)
    assert type(store_error(error)) is told
