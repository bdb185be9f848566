"""Whatever is wrong before the start, ``serve`` says it in one line that names what to change, and leaves with a small exit code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cogo.preflight import cannot_use_postgresql, free_port

ROOT = Path(__file__).resolve().parents[2]


def serve(tmp_path: Path, *arguments: str, missing: str = "", **environment: str) -> str:
    """What it wrote to standard error, after checking that this is one line and an orderly end."""
    hide = f"import sys; sys.modules[{missing!r}] = None; " if missing else "import sys; "
    code = f"{hide}import runpy; sys.argv = ['manage.py', 'serve', *sys.argv[1:]]; runpy.run_path('manage.py', run_name='__main__')"
    base = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-local-model", *arguments],
        cwd=ROOT,
        env={**base, "COGO_VAR_DIR": str(tmp_path / "var"), "PORT": str(free_port()), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode in (1, 2), done
    assert done.stderr.startswith("cogo: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_port_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = serve(tmp_path, PORT=str(port))
        assert f"port {port} on 127.0.0.1 is in use" in line
        assert f"make run PORT={port + 1}" in line


def test_an_address_that_is_not_ours(tmp_path):
    assert "--host" in serve(tmp_path, "--host", "192.0.2.1")


def test_a_setting_that_is_no_number(tmp_path):
    assert "PORT must be a whole number" in serve(tmp_path, PORT="eight thousand")


def test_postgresql_that_does_not_answer(tmp_path):
    line = serve(tmp_path, DATABASE_URL=f"postgres://cogo@127.0.0.1:{free_port()}/cogo")
    assert "PostgreSQL at 127.0.0.1:" in line
    assert "cannot be reached" in line
    assert "DATABASE_URL" in line


def test_postgresql_without_its_driver(tmp_path):
    line = serve(tmp_path, missing="psycopg_pool", DATABASE_URL="postgres://cogo@127.0.0.1/cogo")
    assert "make install-postgres" in line


def test_redis_without_its_client(tmp_path):
    assert "make install-redis" in serve(tmp_path, missing="redis", REDIS_URL="redis://127.0.0.1/0")


def test_a_redis_address_that_is_none(tmp_path):
    assert "REDIS_URL cannot be read" in serve(tmp_path, REDIS_URL="somewhere:6379")


def test_an_unknown_kind_of_database(tmp_path):
    assert "use sqlite:///path or postgres://" in serve(tmp_path, DATABASE_URL="mysql://root@localhost/x")
    assert "DATABASE_URL names no kind of database; use sqlite:///path" in serve(tmp_path, DATABASE_URL="somewhere")


@pytest.mark.parametrize("place", ["/dev/null/db.sqlite3", "/proc/db.sqlite3"])
def test_a_database_file_that_cannot_be_made(tmp_path, place):
    assert f"DATABASE_URL names {place}" in serve(tmp_path, DATABASE_URL=f"sqlite:///{place}")


def test_a_database_file_that_is_something_else(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database, a text of some length " * 100)
    assert "is not an SQLite database" in serve(tmp_path, DATABASE_URL=f"sqlite:///{file}")


def test_an_env_file_that_is_no_text(tmp_path):
    file = tmp_path / ".env"
    file.write_bytes(b"PORT=\xff\xfe\n")
    assert f"{file} cannot be read" in serve(tmp_path, COGO_ENV_FILE=str(file))


def test_an_env_file_that_is_a_folder(tmp_path):
    assert f"{tmp_path} cannot be read" in serve(tmp_path, COGO_ENV_FILE=str(tmp_path))


def test_a_folder_that_cannot_be_written(tmp_path):
    assert "set COGO_VAR_DIR" in serve(tmp_path, COGO_VAR_DIR="/proc/cogo")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            'connection failed: FATAL:  password authentication failed for user "cogo"',
            "refuses the password of user 'cogo'; correct it in DATABASE_URL",
        ),
        ("fe_sendauth: no password supplied", "refuses the password of user 'cogo'; correct it in DATABASE_URL"),
        ('FATAL:  role "cogo" does not exist', "knows no user 'cogo'; correct DATABASE_URL or create it: createuser cogo"),
        ('FATAL:  database "ledger" does not exist', "has no database 'ledger'; correct DATABASE_URL or create it: createdb ledger"),
        ("connection timeout expired", "cannot be reached (connection timeout expired); start it or correct DATABASE_URL"),
    ],
)
def test_what_postgresql_says_becomes_advice(said, advice):
    line = cannot_use_postgresql({"host": "db", "port": 5433, "user": "cogo", "dbname": "ledger"}, said)
    assert line == f"PostgreSQL at db:5433 {advice}"
