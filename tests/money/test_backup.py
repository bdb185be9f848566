"""T22: a copy of the database made under load is whole: restored, its books balance, and its texts open with their master key alone."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .rig import ROOT, Crowd, Rig, rig

# What a gateway that starts on the copy does first (orphaning what was under way), and what an operator asks next.
LOOK = """
import json, django
from datetime import timedelta
django.setup()
from django.utils import timezone
from llm_gateway.actions.audit import audit
from llm_gateway.actions.rotate_encryption import COLUMNS, verify_encryption
from llm_gateway.models import RequestBody, RequestLog
from llm_gateway.stores.reaper import reap
orphaned = reap(timezone.now() + timedelta(hours=1))
broken = [f"{f.code}: {f.offenders}" for f in audit(strict=True) if not f.ok]
print(json.dumps({"rows": RequestLog.objects.count(), "texts": RequestBody.objects.count(), "orphaned": orphaned, "broken": broken,
                  "open": RequestLog.objects.filter(state="open").count(), "sealed": len(verify_encryption(bulky=True)),
                  "ciphertexts": sum(c.rows().count() for c in COLUMNS)}))
"""


@pytest.fixture
def one(test_database: None, django_db_blocker: Any) -> Iterator[Rig]:
    with django_db_blocker.unblock(), rig(1) as found:
        yield found


@contextmanager
def copied(folder: Path, number: int) -> Iterator[str]:
    """The commands of docs/backup.md; the address of the restored copy."""
    from django.db import connection

    given = connection.settings_dict
    if connection.vendor == "sqlite":
        path = folder / f"copy-{number}.sqlite3"
        run("sqlite3" if shutil.which("sqlite3") else sys.executable, *(sqlite_copy(given["NAME"], path)))
        yield f"sqlite:///{path}"
        return
    at = ["-h", given["HOST"], "-p", str(given["PORT"]), "-U", given["USER"]]
    name, dump = f"{given['NAME']}_copy_{number}", str(folder / f"{number}.dump")
    run("pg_dump", *at, "-Fc", "-f", dump, given["NAME"])
    run("dropdb", *at, "--if-exists", name)
    run("createdb", *at, name)
    try:
        run("pg_restore", *at, "--exit-on-error", "-d", name, dump)
        yield f"postgres://{given['USER']}@{given['HOST']}:{given['PORT']}/{name}"
    finally:
        run("dropdb", *at, name)


def sqlite_copy(source: str, target: Path) -> tuple[str, ...]:
    if shutil.which("sqlite3"):
        return (source, f"VACUUM INTO '{target}'")
    return ("-c", f"import sqlite3; sqlite3.connect({source!r}).execute(\"VACUUM INTO '{target}'\")")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def look(database: str, **environment: str) -> dict[str, Any]:
    sent = {**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "cogo.settings", "COGO_LOG_LEVEL": "CRITICAL", **environment}
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=ROOT, env=sent, check=True, capture_output=True, text=True, timeout=60)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_copy_made_under_load_balances_and_opens_with_its_own_key_alone(one: Rig, tmp_path: Path) -> None:
    from llm_gateway.actions.rotate_encryption import make_encryption_key
    from llm_gateway.models import RequestBody, Team

    Team.objects.update(bodies="full")
    key = one.rows.issue("k")
    time.sleep(2.5)  # the process knows both
    crowd = Crowd(one, [key], 15)
    done = threading.Event()
    caller = threading.Thread(target=lambda: asyncio.run(crowd.until(done)))
    caller.start()
    try:
        deadline = time.monotonic() + 30
        while RequestBody.objects.count() < 5:
            assert time.monotonic() < deadline, "no text is kept"
            time.sleep(0.1)
        seen = []
        for number in range(2):
            with copied(tmp_path, number) as database:
                seen.append(look(database))
                assert look(database)["sealed"] == 0
                # Shredded: the master key of that time is gone, and with it every text of the copy. Its figures are not.
                shredded = look(database, COGO_ENCRYPTION_KEYS=make_encryption_key())
                assert shredded["sealed"] == shredded["ciphertexts"] > shredded["texts"] > 0
                assert shredded["broken"] == []
    finally:
        done.set()
        caller.join(60)
    for found in seen:
        assert (found["broken"], found["open"], found["sealed"]) == ([], 0, 0), found
        assert found["texts"] > 0
    assert seen[1]["rows"] > seen[0]["rows"] > 0
    print(f"\nT22: restored {[(s['rows'], s['orphaned']) for s in seen]} (rows, of them under way)")  # noqa: T201  # figures of docs/money.md
