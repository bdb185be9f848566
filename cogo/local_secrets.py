"""Generates the secrets of an installation that sets none: once, in ``var/secrets``, readable by
the owner alone.

A deployment sets them in its environment (or ``*_FILE``); then this writes nothing. SECRET_KEY
signs sessions and task payloads, COGO_ENCRYPTION_KEYS encrypts provider keys and texts,
COGO_KEY_PEPPER keys the digests of client keys, COGO_METRICS_TOKEN opens ``/metrics``: four values,
so that losing or rotating one leaves the others alone.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cogo.environment import Environment, EnvironmentTrouble

NAMES = ("SECRET_KEY", "COGO_ENCRYPTION_KEYS", "COGO_KEY_PEPPER", "COGO_METRICS_TOKEN")


def folder(var: Path) -> Path:
    return var / "secrets"


def prepare(root: Path) -> None:
    """:func:`make_missing` for the installation in ``root``: its folder may be named in
    ``.env``."""
    try:
        env = Environment.of_process(root)
        var = Path(env.str("COGO_VAR_DIR") or root / "var").resolve()
    except EnvironmentTrouble as trouble:
        raise SystemExit(f"cogo: {trouble}") from None
    try:
        make_missing(var, given=env.names())
    except OSError as error:
        raise SystemExit(
            f"cogo: {var} cannot be written ({error.strerror}); make it writable or set COGO_VAR_DIR to another folder"
        ) from None


def make_missing(var: Path, given: Mapping[str, str] = os.environ) -> list[str]:
    """Create the secrets that neither the environment nor the folder has; returns their names. Safe
    when two processes start at once."""
    made = []
    for name in NAMES:
        path = folder(var) / name.lower()
        if given.get(name) or given.get(f"{name}_FILE") or path.exists():
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
