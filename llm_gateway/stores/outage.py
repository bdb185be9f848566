"""The one place that decides what an error of the database means, and what a caller is told of it.

An error says by its class and its code whether a row was refused (data, integrity) or the database takes nothing now. Whatever is not
known to be the row's own fault is an outage: what was to be written is kept and written later. The wording of a message counts only where
the driver gives no code.
"""

from __future__ import annotations

import enum
import sqlite3

from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError
from django.db import Error as DatabaseError

from llm_gateway.core.errors import GatewayError, StoreBusy, StoreFull, StoreUnavailable


class Verdict(enum.Enum):
    OUTAGE = "outage"
    BAD_ROW = "bad row"
    AGAIN = "again"  # another transaction won; the same statements may pass now


# https://www.postgresql.org/docs/current/errcodes-appendix.html
_AGAIN = frozenset({"40001", "40P01"})
_REFUSED = ("22", "23")
_BUSY = frozenset({*_AGAIN, "55P03", "57014", "53300"})
_FULL = frozenset({"53100"})
_READ_ONLY = frozenset({"25006"})
# Values that a driver cannot send: the database was never asked.
_UNSENDABLE = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)


def judge(error: BaseException) -> Verdict:
    """What a writer has to do after ``error``."""
    code = _code(error)
    if code in _AGAIN or (code is None and "deadlock" in str(error).lower()):
        return Verdict.AGAIN
    if isinstance(error, DataError | IntegrityError) or (isinstance(code, str) and code[:2] in _REFUSED):
        return Verdict.BAD_ROW
    if not isinstance(error, DatabaseError):
        return Verdict.BAD_ROW if isinstance(error, _UNSENDABLE) else Verdict.OUTAGE
    if isinstance(error, ProgrammingError) and code is None and "closed" not in str(error):
        return Verdict.BAD_ROW
    return Verdict.OUTAGE


def full(error: BaseException) -> bool:
    """Whether the disk of the database has no room left."""
    code = _code(error)
    text = str(error).lower()
    return code in _FULL or code == sqlite3.SQLITE_FULL or (code is None and ("is full" in text or "no space" in text))


def busy(error: BaseException) -> bool:
    """Whether others hold what was wanted: the database itself answers."""
    code = _code(error)
    text = str(error).lower()
    if code is None:
        return "locked" in text or "deadlock" in text or "lock timeout" in text or "statement timeout" in text
    return code in _BUSY or code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def crowded(error: BaseException) -> bool:
    """Whether this process found no free connection in its own pool in time, which tells nothing of the database."""
    return type(error.__cause__).__name__ == "PoolTimeout"


def store_error(error: BaseException) -> GatewayError:
    """What a caller is told of a database that refused."""
    if busy(error):
        return StoreBusy("The gateway's database is busy; try again shortly.", retry_after_s=1)
    if full(error):
        return StoreFull("The gateway's disk is full, so nothing can be logged or sent; the operator has to free space.", retry_after_s=30)
    if _read_only(error):
        return StoreUnavailable("The gateway's database takes no writes now, as during a failover; try again shortly.", retry_after_s=2)
    return StoreUnavailable("The gateway's database is not available; try again shortly.", retry_after_s=2)


def outage(error: BaseException | None) -> GatewayError | None:
    """The same where ``error`` came from a database that is away, locked, full or read-only; ``None`` for a statement it could not make
    sense of."""
    if not isinstance(error, OperationalError | InterfaceError | InternalError) or "no such " in str(error):
        return None
    return store_error(error)


def _read_only(error: BaseException) -> bool:
    code = _code(error)
    text = str(error).lower()
    return code in _READ_ONLY or code == sqlite3.SQLITE_READONLY or (code is None and ("readonly" in text or "read-only" in text))


def _code(error: BaseException) -> str | int | None:
    """PostgreSQL's SQLSTATE or SQLite's primary result code, of ``error`` or of the driver's error that it wraps."""
    for one in (error, error.__cause__):
        state = getattr(one, "sqlstate", None)
        if isinstance(state, str):
            return state
        number = getattr(one, "sqlite_errorcode", None)
        if isinstance(number, int):
            return number & 0xFF
    return None
