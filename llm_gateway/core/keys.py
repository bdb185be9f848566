"""The state of a provider key, and the format of the gateway's own client keys."""

from __future__ import annotations

import re
import zlib
from enum import StrEnum

import msgspec


class KeyState(StrEnum):
    """Result of the last check of a provider key. Only ``INVALID`` takes a key out of routing for
    good (until it checks valid again)."""

    UNCHECKED = "unchecked"
    VALID = "valid"
    INVALID = "invalid"
    NO_PERMISSION = "no_permission"
    OUT_OF_CREDIT = "out_of_credit"
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"

    @property
    def routable(self) -> bool:
        """Whether requests may use a key in this state: false once the provider refused the key or
        its account has no credit."""
        return self not in (KeyState.INVALID, KeyState.OUT_OF_CREDIT, KeyState.NO_PERMISSION)


class KeyVerdict(msgspec.Struct, frozen=True):
    """``reason`` is a sentence for the operator, ``evidence`` what the provider said (status and
    redacted text)."""

    state: KeyState
    reason: str
    evidence: str = ""


_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = re.compile(r"cogo_([0-9A-Za-z]{12})_([0-9A-Za-z]{32,64})_([0-9A-Za-z]{6})", re.ASCII)
CLIENT_KEY_FORM = _FORM.pattern


def base62(data: bytes, length: int) -> str:
    """``data`` as a big-endian number in base 62, cut or zero-padded to ``length`` characters."""
    number = int.from_bytes(data, "big")
    digits = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))


def compose_client_key(entropy: bytes) -> tuple[str, str]:
    """``(key, public id)`` from at least 48 random bytes. The checksum lets a scanner and the door
    tell a real key from a look-alike."""
    public, secret = base62(entropy[:12], 12), base62(entropy[12:48], 43)
    return f"cogo_{public}_{secret}_{_checksum(public, secret)}", public


def public_id_of(key: str) -> str | None:
    """The public id in a well-formed client key; ``None`` for anything else, which saves a
    query."""
    match = _FORM.fullmatch(key) if len(key) <= 128 else None
    if match is None or _checksum(match[1], match[2]) != match[3]:
        return None
    return match[1]


def _checksum(public: str, secret: str) -> str:
    return base62(zlib.crc32(f"{public}_{secret}".encode()).to_bytes(4, "big"), 6)
