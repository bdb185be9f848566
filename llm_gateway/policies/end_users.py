"""The pseudonym of a caller's end user: a keyed digest of the name, different in each team.
Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

_CHARS = 32


def end_user_of(user: str | None, metadata: Mapping[str, Any] | None) -> str:
    """The name a request gives its end user: the format's own field, else ``metadata.user_id`` or
    ``metadata.user``. Empty: none."""
    if user:
        return user
    for name in ("user_id", "user"):
        name_given = metadata.get(name) if metadata else None
        if isinstance(name_given, str) and name_given:
            return name_given
    return ""


def pseudonym(key: bytes, team_id: int, name: str) -> str:
    """32 hexadecimal digits. Without ``key`` nobody can recover the name, not even by guessing."""
    return hmac.digest(key, f"{team_id}:{name}".encode("utf-8", "replace"), hashlib.sha256).hex()[:_CHARS] if name else ""
