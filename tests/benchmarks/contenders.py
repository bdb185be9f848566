"""What is measured, each as a process of its own in front of the same upstream."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from .callers import request
from .processes import Program

ROOT = Path(__file__).resolve().parents[2]
# 1,000 streams from one address, and their places.
ROOM = {"COGO_MAX_IN_FLIGHT": "4096", "COGO_CONNECTIONS_PER_ADDRESS": "4096"}
_OURS = ("COGO_", "DJANGO_", "DATABASE_", "REDIS_", "POSTGRES_", "PROMETHEUS_", "SECRET_KEY", "ALLOWED_HOSTS", "PORT")

_AUDIT = """
import django
django.setup()
from llm_gateway.actions.audit import audit
found = audit(strict=True)
broken = [one.code for one in found if not one.ok]
print(f"{len(found) - len(broken)} of {len(found)} invariants of the books hold", *broken)
"""


@dataclass
class Contender:
    """``prefix`` is written before a model's name."""

    name: str
    program: Program
    path: str = "/v1/chat/completions"
    headers: dict[str, str] = field(default_factory=dict)
    prefix: str = ""

    @property
    def port(self) -> int:
        return self.program.port

    @property
    def pid(self) -> int:
        return self.program.pid

    def request(self, model: str, *, stream: bool = False) -> bytes:
        return request(self.port, self.path, self.headers, self.prefix + model, stream=stream)


def environment(var: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This machine's, without what is ours in it; a folder of its own."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    given = {"COGO_VAR_DIR": str(var), "COGO_ENV_FILE": str(var / "no.env"), "DJANGO_SETTINGS_MODULE": "cogo.settings"}
    return {**found, **given, **ROOM, **(more or {})}


class Field:
    """The upstream, and who stands before it. Everything lives in ``folder`` and ends with :meth:`close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self.upstream = Contender("direct", self._program("upstream", environment(folder), "tests.benchmarks.upstream", "--fd", "{fd}"))
        self.url = f"http://127.0.0.1:{self.upstream.port}/v1"

    def close(self) -> None:
        self._stack.close()

    def keep(self, program: Program) -> Program:
        self._stack.callback(program.stop)
        return program

    def bare(self) -> Contender:
        env = environment(self._var("bare"))
        _secrets(ROOT, env)
        url = f"{self.url}/chat/completions"
        return Contender(
            "bare", self._program("bare", env, "tests.benchmarks.bare", "--fd", "{fd}", "--upstream", url), prefix="bench/"
        )  # fmt: skip

    def gateway(self, name: str = "gateway", root: Path = ROOT, database_url: str = "") -> Contender:
        """As shipped, from the checkout ``root``; on SQLite in a folder of its own, or on a database of its own at ``database_url``."""
        url = self._stack.enter_context(own_database(database_url, f"cogo_bench_{os.getpid()}_{name}")) if database_url else ""
        env = environment(self._var(name), {"DATABASE_URL": url} if url else None)
        _secrets(root, env)
        made = _python(root, env, str(Path(__file__).with_name("prepare.py")), self.url)
        program = self._program(name, env, "cogo.web", "--fd", "{fd}", root=root, ready="/readyz")
        return Contender(name, program, headers={"authorization": f"Bearer {made.split()[-1]}"}, prefix="bench/")

    def audit(self, name: str = "gateway", root: Path = ROOT, database_url: str = "") -> str:
        """What the strict audit says of the books of what was measured. Not of background work: none runs here."""
        url = _named(database_url, f"cogo_bench_{os.getpid()}_{name}") if database_url else ""
        env = environment(self.folder / name, {"DATABASE_URL": url} if url else None)
        return _python(root, env, "-c", _AUDIT).strip()

    def _var(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        return folder

    def _program(self, name: str, env: dict[str, str], module: str, *arguments: str, root: Path = ROOT, ready: str = "/") -> Program:
        command = [sys.executable, "-m", module, *arguments]
        return self.keep(Program(command, log=self.folder / f"{name}.log", env=env, cwd=root, ready=ready))


def _secrets(root: Path, env: dict[str, str]) -> None:
    _python(root, env, "-c", "import os, pathlib, cogo.local_secrets as s; s.make_missing(pathlib.Path(os.environ['COGO_VAR_DIR']))")


def _python(root: Path, env: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env={**env, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


@contextlib.contextmanager
def own_database(server_url: str, name: str) -> Iterator[str]:
    """Makes the database on that server, and drops it at the end; what the URL names is only where to stand while doing so."""
    import psycopg

    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield _named(server_url, name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _named(server_url: str, name: str) -> str:
    return f"{server_url.rpartition('/')[0]}/{name}"
