"""Checks before anything starts; each failure is one line that tells what to do."""

from __future__ import annotations

import errno
import io
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from . import footing, weakness


class CannotStart(SystemExit):
    """Ends the process with its line on standard error and exit code 1."""

    def __init__(self, line: str) -> None:
        super().__init__(f"cogo: {' '.join(line.split())}")


def listen(host: str, port: int) -> socket.socket:
    """The socket all web workers share. Bound first, so that a port in use is reported at once."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError, ValueError):
        raise CannotStart(f"the address {host[:80]!r} is unknown; use --host 127.0.0.1, or 0.0.0.0 for every network interface") from None
    listening = socket.socket(family, kind, proto)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise CannotStart(_cannot_listen(host, port, error)) from None
    listening.set_inheritable(True)
    return listening


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use; stop what uses it, or take another one: make run PORT={port + 1 if port < 65535 else 8001}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} needs more rights than this user has; take one above 1023: make run PORT=8000"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; use --host 127.0.0.1, or 0.0.0.0 for every network interface"
    return f"cannot listen on {host}:{port}: {error.strerror}"


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_exposure(host: str) -> None:
    """Settings that are fine on one's own machine may be unsafe on a network."""
    if weakness.is_loopback(host):
        return
    settings.COGO["exposed"] = True
    if settings.DEBUG:
        raise CannotStart(f"DEBUG shows internals to everybody who reaches {host}; unset DEBUG, or use --host 127.0.0.1")


def close_to_others(say: Callable[[str], None]) -> None:
    """Restrict the installation's files to its own user, and report a descriptor limit that is too
    low."""
    name = str(settings.DATABASES["default"]["NAME"])
    sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3") and name != ":memory:"
    files = [Path(f"{name}{end}") for end in ("", "-wal", "-shm") if Path(f"{name}{end}").exists()] if sqlite else []
    try:
        left = footing.close_to_others(settings.VAR_DIR, *files)
    except OSError as error:
        raise CannotStart(f"{settings.VAR_DIR} cannot be used ({error.strerror}); make it writable or set COGO_VAR_DIR") from None
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        say(f"Other users of this machine can read {left[0]}{more}, which belongs to somebody else; take their rights away")
    if (available := footing.descriptors()) < footing.LOW:
        say(
            f"This process may open {available} descriptors, so each worker carries {settings.COGO['max_in_flight']} calls at a time; "
            "raise the hard limit (ulimit -Hn, LimitNOFILE=)"
        )


def check_database() -> None:
    """Connect and take the write lock, as the journal will."""
    from django.db import DatabaseError, connection

    if connection.vendor == "postgresql":
        _check_postgresql(connection.get_connection_params())
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")
    except DatabaseError as error:
        raise CannotStart(_cannot_use_sqlite(str(settings.DATABASES["default"]["NAME"]), str(error))) from None


def _cannot_use_sqlite(path: str, said: str) -> str:
    if "locked" in said:
        return f"the database {path} is locked by another program; stop it, then try again"
    if "not a database" in said:
        return f"DATABASE_URL names {path}, which is not an SQLite database; name another file or move that one away"
    return f"DATABASE_URL names {path}, which cannot be written ({said}); make the folder and the file writable or name another one"


def _check_postgresql(parameters: dict[str, Any]) -> None:
    import psycopg

    try:
        psycopg.connect(**{**parameters, "connect_timeout": 5}).close()
    except psycopg.Error as error:
        raise CannotStart(cannot_use_postgresql(parameters, str(error))) from None


def cannot_use_postgresql(parameters: Mapping[str, Any], said: str) -> str:
    """One line from libpq's message; libpq offers no error code here."""
    place = f"PostgreSQL at {parameters.get('host') or 'the local socket'}:{parameters.get('port') or 5432}"
    user, name = parameters.get("user", ""), parameters.get("dbname", "")
    if "password authentication failed" in said or "no password supplied" in said:
        return f"{place} refuses the password of user {user!r}; correct it in DATABASE_URL"
    if "does not exist" in said and "role" in said:
        return f"{place} knows no user {user!r}; correct DATABASE_URL or create it: createuser {user}"
    if "does not exist" in said and "database" in said:
        return f"{place} has no database {name!r}; correct DATABASE_URL or create it: createdb {name}"
    return f"{place} cannot be reached ({_last_line(said)}); start it or correct DATABASE_URL"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and "Is the server running" not in line]
    return lines[-1][:200] if lines else "no message"


def check_cache(say: Callable[[str], None]) -> None:
    """A REDIS_URL that cannot be understood stops the start; a Redis that does not answer is only
    told, as no request needs it."""
    if not settings.REDIS_URL:
        return
    from django.core.cache import cache

    try:
        works = cache.works()  # type: ignore[attr-defined]  # it is cogo.cache's
    except ValueError as error:
        raise CannotStart(f"REDIS_URL cannot be read ({error}); use redis://:password@host:6379/0") from None
    if not works:
        say("REDIS_URL names a Redis that does not answer; the gateway starts without a shared cache and takes it up when it is there")


def migrate(say: Any) -> None:
    """Brings the schema up to date; says so only when there is something to do, and waits where
    another process does it."""
    from django.core.management import CommandError, call_command
    from django.db import DatabaseError, connection
    from django.db.migrations.exceptions import InconsistentMigrationHistory
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            say(f"Migrating the database ({len(plan)} steps)")
            call_command("migrate", verbosity=0, interactive=False, stdout=_Told(say))
    except (DatabaseError, CommandError, InconsistentMigrationHistory) as error:
        raise CannotStart(f"the database cannot be migrated ({_last_line(str(error))}); give its user the right to create tables") from None


class _Told(io.StringIO):
    """A command's output, reported line by line."""

    def __init__(self, say: Any) -> None:
        super().__init__()
        self._say = say

    def write(self, text: str) -> int:
        if line := text.strip():
            self._say(line)
        return len(text)
