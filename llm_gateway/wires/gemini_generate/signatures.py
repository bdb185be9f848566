"""Thinking of other formats inside this one: the thought signature carries the other format's
token.

It has to be base64 (the SDKs decode it). On the way to Gemini such signatures are left out: it
refuses what it did not sign.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from llm_gateway.wires._issuers import address, parted

from .names import NAME, NO_SIGNATURES

_MARK = "cogo:1"  # six bytes, so that every base64 of it begins alike
_PREFIX = base64.b64encode(_MARK.encode()).decode()
PREFIX_IN_JSON = f'"{_PREFIX}'.encode()


class Origin(NamedTuple):
    signature: str | None = None
    redacted: str | None = None
    wire: str | None = None
    id: str | None = None
    issuer: str | None = None


def pack(signature: str | None, redacted: str | None, wire: str | None, item: str | None, issuer: str | None = None) -> str | None:
    """The signature to show to a caller; ``None`` where there is nothing to carry."""
    if wire == NAME and signature is not None and redacted is None and item is None:
        return signature
    if not (signature or redacted or item):
        return None
    kind, token = ("r", redacted) if redacted is not None else ("s", signature or "")
    return base64.b64encode(f"{_MARK}:{kind}:{address(wire, issuer)}:{item or ''}:{token}".encode()).decode()


def unpack(text: str | None) -> Origin:
    if not text or text in NO_SIGNATURES:
        return Origin()
    if not is_foreign(text):
        return Origin(signature=text, wire=NAME)
    try:
        whole = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return Origin()
    kind, _, rest = whole.removeprefix(_MARK + ":").partition(":")
    maker, _, rest = rest.partition(":")
    item, _, token = rest.partition(":")
    wire, issuer = parted(maker)
    signature, redacted = (None, token) if kind == "r" else (token or None, None)
    return Origin(signature, redacted, wire, item or None, issuer)


def is_foreign(text: str) -> bool:
    return text.startswith(_PREFIX)
