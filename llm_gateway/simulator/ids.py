"""Identifiers in the shapes providers use: unique, never meaningful."""

import uuid

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(length: int) -> str:
    """``length`` random characters of [0-9A-Za-z]."""
    number = uuid.uuid4().int
    if length > 20:
        number = (number << 122) | (uuid.uuid4().int >> 6)
    out = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        out.append(_ALPHABET[rest])
    return "".join(out)


def hexed(length: int) -> str:
    """``length`` random hexadecimal characters."""
    return (uuid.uuid4().hex + uuid.uuid4().hex)[:length]
