from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import Server, server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def template() -> Iterator[Server]:
    """One server for the session; each test gets a database of its own, migrated already."""
    with server() as found:
        url = found.create("migrated")
        environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "cogo.settings"}
        for command in (("migrate", "-v", "0"), ("sync_schedules",)):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
        yield found


@pytest.fixture
def database(template: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a database with the present schema."""
    name = f"d{abs(hash(request.node.nodeid)) % 10**9}"
    template.run("postgres", f'CREATE DATABASE "{name}" TEMPLATE migrated')
    yield name
    template.run("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
