"""The settings tests run with: the gateway's own, over an environment of their own.

Read before any conftest (pytest-django loads settings first), so the environment is made here: a throw-away ``COGO_VAR_DIR`` with fresh
secrets for each process, no ``.env``, no provider keys. ``DATABASE_URL`` and ``REDIS_URL`` are kept: they choose the lane.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
_VAR = Path(tempfile.mkdtemp(prefix=f"cogo-tests-{_WORKER}-"))
_OWNER = os.getpid()


def _clean_up() -> None:
    if os.getpid() == _OWNER:  # a forked child leaves its parent's folder alone
        shutil.rmtree(_VAR, ignore_errors=True)


atexit.register(_clean_up)

_KEPT = {"DATABASE_URL", "REDIS_URL", "COGO_RECORDED_TRAFFIC", "COGO_AGENTS_DIR", "COGO_WRITE_DOCUMENTS"}
_OURS = ("COGO_", "DJANGO_SUPERUSER_", "DATABASE_", "REDIS_", "SECRET_KEY", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "DEBUG", "PORT")
_PROVIDERS = ("FIREWORKS_", "ANTHROPIC_", "CLAUDE_", "OPENAI_", "GEMINI_", "GOOGLE_")
for _name in [name for name in os.environ if name.startswith((*_OURS, *_PROVIDERS)) and name not in _KEPT]:
    del os.environ[_name]
os.environ["COGO_VAR_DIR"] = str(_VAR)
os.environ["COGO_ENV_FILE"] = str(_VAR / "no.env")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from cogo import local_secrets  # noqa: E402  # the environment comes first

local_secrets.make_missing(_VAR)

from cogo.settings import *  # noqa: E402, F403
from cogo.settings import CACHES, DATABASES  # noqa: E402

# A file, not memory: the journal's thread and the web's threads each hold a connection, and shared memory locks whole tables.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["NAME"] = str(_VAR / "db.sqlite3")
    DATABASES["default"]["TEST"] = {"NAME": str(_VAR / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"
CACHES["default"]["KEY_PREFIX"] = f"test-{_OWNER}-{_WORKER}"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
