"""Two starts at once on an empty PostgreSQL: one migrates and fills it, the other waits and finds everything there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT
from .server import Server

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(280)]
# What ``serve`` does before it starts its processes.
START = """
import django
django.setup()
from cogo import preflight, providing
preflight.check_database()
preflight.migrate(print)
report = providing.fill_database(False, print)
print("made a key" if report.client_key else "found a key")
"""


def test_two_gateways_started_at_once_on_an_empty_database_both_come_up(template: Server, tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": template.create("empty"), "DJANGO_SETTINGS_MODULE": "cogo.settings"}
    command = [sys.executable, "-c", START]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    both = [subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **streams) for _ in range(2)]
    said = [one.communicate(timeout=250)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert "".join(said).count("Another process is migrating this database; waiting for it") == 1, said
    # What is told once is made once.
    assert sorted(text.splitlines()[-1] for text in said) == ["found a key", "made a key"], said
    assert template.rows("empty", "SELECT count(*) FROM auth_user") == [(1,)]
