"""The shelf in Redis, where one is configured: sealed like the table's rows, gone when its time is over.

What a purge reaches is out of reach at once, as everywhere; its bytes stay in Redis, sealed, until their time is over.
"""

from __future__ import annotations

import base64
import time
import zlib
from collections.abc import Sequence

from django.core.cache import cache

from . import vault
from .answers import Kept


class AnswerRedis:
    """Implements ``Shelf`` over Django's cache, which knows nothing while Redis is away."""

    def may_have(self, key: bytes) -> bool:
        return True

    def get(self, key: bytes) -> bytes | None:
        sealed = cache.get(_name(key))
        if not isinstance(sealed, str):
            return None
        try:
            return zlib.decompress(base64.b85decode(vault.open_sealed(sealed, place=_name(key)).reveal()))
        except vault.VaultError:
            return None

    def put(self, kept: Sequence[Kept]) -> None:
        for key, data, slip in kept:
            sealed = vault.seal(base64.b85encode(zlib.compress(data, 3)).decode(), place=_name(key))
            cache.set(_name(key), sealed, max(1, round(slip.expires_at - time.time())))

    def refresh(self) -> Sequence[bytes]:
        return ()


def _name(key: bytes) -> str:
    return f"cogo-answer-{key.hex()}"
