"""Secrets of an installation that brings none: made once, kept in ``var/secrets`` readable by the owner alone.

A deployment sets them in its environment (or ``*_FILE``); then nothing is written. SECRET_KEY signs sessions and task payloads,
COGO_ENCRYPTION_KEYS encrypts provider keys and texts, COGO_KEY_PEPPER keys the digests of client keys: three values, so that losing or
rotating one leaves the others alone.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

NAMES = ("SECRET_KEY", "COGO_ENCRYPTION_KEYS", "COGO_KEY_PEPPER")


def folder(var: Path) -> Path:
    return var / "secrets"


def make_missing(var: Path) -> list[str]:
    """Create what neither the environment nor the folder has; returns the names made. Safe when two processes start at once."""
    made = []
    for name in NAMES:
        path = folder(var) / name.lower()
        if os.environ.get(name) or os.environ.get(f"{name}_FILE") or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(_new(name))
        try:
            path.hardlink_to(draft)
            made.append(name)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return made


def _new(name: str) -> str:
    if name == "COGO_ENCRYPTION_KEYS":
        return f"{secrets.token_hex(4)}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"
    return secrets.token_urlsafe(50)
