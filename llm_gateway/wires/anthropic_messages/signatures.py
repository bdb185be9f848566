"""Thinking of other formats inside this one.

A caller sends thinking blocks back unchanged, so a block's signature is where another format's
token (a Responses item id and its encrypted content, a Gemini thought signature) can ride along. It
is written ``cogo:<wire>@<issuer>:<id>:<token>``; ``:`` is no letter of Anthropic's own base64. On
the way to Anthropic such blocks are left out: it would refuse a signature it did not make.
"""

from __future__ import annotations

from typing import NamedTuple

from llm_gateway.wires._issuers import address, parted

from .names import NAME

_MARK = "cogo:"
MARK_IN_JSON = b'"cogo:'


class Origin(NamedTuple):
    token: str | None
    wire: str | None
    id: str | None
    issuer: str | None = None


def pack(token: str | None, wire: str | None, item: str | None, issuer: str | None = None) -> str:
    """The signature (or redacted data) to show to a caller of this dialect."""
    if wire == NAME and token is not None:
        return token
    return f"{_MARK}{address(wire, issuer)}:{item or ''}:{token or ''}"


def unpack(text: str) -> Origin:
    if not is_foreign(text):
        return Origin(text or None, NAME if text else None, None)
    maker, _, rest = text.removeprefix(_MARK).partition(":")
    item, _, token = rest.partition(":")
    wire, issuer = parted(maker)
    return Origin(token or None, wire, item or None, issuer)


def is_foreign(text: str) -> bool:
    return text.startswith(_MARK)
