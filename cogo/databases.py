"""Django's database settings, from a URL or from separate values. Pure except that it creates the
folder of an SQLite file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ

FORMS = "use sqlite:///path or postgres://user@host:5432/name"
_ENCODE = (
    "percent-encode what is special in its user and password (/ is %2F, @ is %40, # is %23, ? is %3F, % is %25), "
    "or leave DATABASE_URL out and set POSTGRES_HOST, POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB"
)


_PATIENCE = {"connect_timeout": 3, "keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 10_000}


class DatabaseTrouble(ValueError):
    """The message is one line for the operator."""


def from_url(url: str) -> dict[str, Any]:
    """Raises :class:`DatabaseTrouble`."""
    scheme = url.partition(":")[0].lower() if "://" in url else ""
    if scheme == "sqlite":
        return _sqlite(dict(environ.Env.db_url_config(url)))
    if scheme not in ("postgres", "postgresql", "pgsql"):
        trouble = f"begins with {scheme!r}" if scheme else "names no kind of database"
        raise DatabaseTrouble(f"DATABASE_URL {trouble}; {FORMS}")
    _check_encoding(url)
    try:
        return dict(environ.Env.db_url_config(url))
    except (ValueError, environ.ImproperlyConfigured):
        raise DatabaseTrouble(f"DATABASE_URL cannot be read; {FORMS}; {_ENCODE}") from None


def _check_encoding(url: str) -> None:
    """An unencoded /, # or ? in a password ends the host part early, and the parser misreads the
    rest without an error."""
    rest = url.partition("://")[2]
    try:
        parts = urlsplit(url)
        # Each of several hosts has its own port.
        for host in parts.netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{host}").port
    except ValueError:
        raise DatabaseTrouble(f"DATABASE_URL cannot be read; {FORMS}; {_ENCODE}") from None
    userinfo = parts.netloc.rpartition("@")[0]
    cut_short = "@" in rest and ("@" not in parts.netloc or "@" in f"{parts.path}{parts.query}{parts.fragment}")
    if cut_short or parts.fragment or re.search(r"%(?![0-9A-Fa-f]{2})", userinfo):
        raise DatabaseTrouble(f"DATABASE_URL cannot be read; {_ENCODE}")


def from_parts(host: str, port: int, user: str, password: str, name: str) -> dict[str, Any]:
    """Each value as given, with any characters."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": host,
        "PORT": port,
        "USER": user,
        "PASSWORD": password,
        "NAME": name,
    }


def _sqlite(found: dict[str, Any]) -> dict[str, Any]:
    if str(found["NAME"]) != ":memory:":
        try:
            Path(found["NAME"]).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseTrouble(
                f"DATABASE_URL names {found['NAME']}, whose folder cannot be made ({error.strerror}); name another one"
            ) from None
    return found


def with_options(found: dict[str, Any], *, full_sync: bool, pool: int, forks: bool = False, pgbouncer: bool = False) -> dict[str, Any]:
    """``pool``: most pooled connections, 0 for none; ``forks``: this process forks, so it uses no
    pool; ``pgbouncer``: the server is reached through PgBouncer in transaction mode. Raises
    :class:`DatabaseTrouble` when the driver is missing."""
    if found["ENGINE"].endswith("sqlite3"):
        # IMMEDIATE: a writer queues at BEGIN instead of failing in the middle; NORMAL loses nothing
        # on a killed process (WAL).
        sync = "FULL" if full_sync else "NORMAL"
        pragmas = f"PRAGMA journal_mode=WAL; PRAGMA synchronous={sync}; PRAGMA cache_size=-16000; PRAGMA temp_store=MEMORY;"
        return {**found, "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": pragmas}}
    try:
        import psycopg_pool  # noqa: F401  # only to say early what is missing
    except ImportError:
        raise DatabaseTrouble(
            "DATABASE_URL names PostgreSQL, whose driver is not installed; run 'make install-postgres', then try again"
        ) from None
    # Give up a host that vanishes silently after seconds; the URL can override this.
    options: dict[str, Any] = {**_PATIENCE, **found.get("OPTIONS", {})}
    found = {**found, "OPTIONS": options, "CONN_MAX_AGE": 0, "DISABLE_SERVER_SIDE_CURSORS": pgbouncer}
    if forks or pool == 0:
        # A process of the task cluster is one thread, which keeps one connection; a pool's threads
        # do not survive the cluster's forks.
        return {**found, "CONN_MAX_AGE": 60 if forks else 0, "CONN_HEALTH_CHECKS": True}
    # The pool doubles its pauses between tries to connect (1, 2, 4 … s). It gives up when its
    # callers do, so it never reaches 4.
    options["pool"] = {"min_size": 1, "max_size": pool, "timeout": 5, "reconnect_timeout": 5}
    return found
