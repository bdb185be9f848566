"""An empty, migrated SQLite database, made once for a set of migrations and copied from then on: each making takes ten seconds of a
processor, and every worker and every program that tests start needs one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parents[2]
# Another checkout may be copying its own.
_KEPT_S = 86_400
_ROOMS = ("llm_gateway/migrations", "llm_gateway/models", "analytics/migrations", "analytics/models.py", "cogo/management", "requirements")


def seed(path: Path) -> None:
    """Put a migrated database at ``path``, in place of whatever is there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    shutil.copyfile(made(), path)


@cache
def made() -> Path:
    """The template; whoever comes while another process makes it waits."""
    folder = Path(tempfile.gettempdir()) / f"cogo-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} is not ours; remove it")
    template = folder / f"{_fingerprint()}.sqlite3"
    with (folder / "making").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            for other in folder.glob("*.sqlite3"):
                if time.time() - other.stat().st_mtime > _KEPT_S:
                    other.unlink()
            with tempfile.TemporaryDirectory(dir=folder) as var:
                _migrate(Path(var)).replace(template)
    return template


def _fingerprint() -> str:
    """Of all that decides what an empty database holds."""
    found = hashlib.sha256(f"{django.get_version()} {sys.version}".encode())
    for room in _ROOMS:
        start = ROOT / room
        for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
            if path.suffix in (".py", ".lock"):
                found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:32]


def _migrate(var: Path) -> Path:
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"COGO_VAR_DIR": str(var), "COGO_ENV_FILE": str(var / "no.env"), "DJANGO_SETTINGS_MODULE": "cogo.settings"}
    code = "import os, pathlib, cogo.local_secrets as s; s.make_missing(pathlib.Path(os.environ['COGO_VAR_DIR']))"
    for arguments in (["-c", code], ["manage.py", "migrate", "-v0"]):
        subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    path = var / "db.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path
