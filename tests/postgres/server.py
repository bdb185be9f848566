"""A PostgreSQL of the test's own: its folder, its port, started and stopped at will. And a PgBouncer before it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

USER = "postgres"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binary(name: str) -> str:
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = str(newest[-1]) if newest else shutil.which(name) or shutil.which(name, path="/usr/sbin")
    assert found, f"{name} is not installed; the gate installs it"
    return found


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL and PgBouncer refuse to run as root."""
    return {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        owner = pwd.getpwnam(USER)
        os.chown(folder, owner.pw_uid, owner.pw_gid)


class Server:
    """``start`` returns once it takes connections. ``stop(signal.SIGQUIT)``: at once, as in a crash; SIGINT: ending its sessions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        _give_away(folder)
        command = [_binary("initdb"), "-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(command, check=True, capture_output=True, **_unprivileged())

    def start(self, **settings: Any) -> None:
        given = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": 60,
            **settings,
        }  # fmt: skip
        options = [text for name, value in given.items() for text in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [_binary("postgres"), "-D", str(self._data), *options], stdout=log, stderr=log, cwd="/", **_unprivileged()
            )
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < end, "PostgreSQL does not start"
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={USER} dbname={database}"

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgres://{USER}@127.0.0.1:{port or self.port}/{database}"

    def create(self, database: str) -> str:
        self.run("postgres", f'CREATE DATABASE "{database}"')
        return self.url(database)

    def run(self, database: str, sql: str) -> None:
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            connection.execute(sql)

    def rows(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            return connection.execute(sql).fetchall()


@contextlib.contextmanager
def server() -> Iterator[Server]:
    # Not pytest's folder: its parents are closed to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="cogo-postgres-") as folder:
        found = Server(Path(folder))
        found.start()
        try:
            yield found
        finally:
            found.stop(signal.SIGQUIT)


@contextlib.contextmanager
def pgbouncer(before: int, pool_size: int = 5) -> Iterator[int]:
    """Its port; transactions of any number of clients share ``pool_size`` connections to the server on port ``before``."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="cogo-pgbouncer-") as name:
        folder = Path(name)
        users = folder / "users.txt"
        users.write_text(f'"{USER}" ""\n')
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host=127.0.0.1 port={before}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = {pool_size}\nmax_client_conn = 200\n"
            f"unix_socket_dir =\nserver_round_robin = 1\nlogfile = {folder / 'log'}\nadmin_users = {USER}\n"
        )
        for path in (folder, users, configuration):
            _give_away(path)
        # A client of one moment and of the next meet different server connections: what a session set is somebody else's.
        process = subprocess.Popen([_binary("pgbouncer"), str(configuration)], stderr=subprocess.DEVNULL, cwd="/", **_unprivileged())
        try:
            end = time.monotonic() + 20
            while True:
                with contextlib.suppress(psycopg.OperationalError):
                    psycopg.connect(f"host=127.0.0.1 port={port} user={USER} dbname=postgres", connect_timeout=2).close()
                    break
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < end, "PgBouncer does not start"
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(10)
