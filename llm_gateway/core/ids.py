"""Identifiers: time-ordered and unguessable."""

from __future__ import annotations

import uuid


def uuid7(now_ms: int, entropy: bytes) -> uuid.UUID:
    """An RFC 9562 version 7 UUID from a Unix time in milliseconds and ten random bytes."""
    value = (now_ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(entropy, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
