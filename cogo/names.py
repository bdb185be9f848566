"""Normalises host names, origins and amounts as people write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import urlsplit

_PORT = re.compile(r"(?P<name>[^:\[\]]+|\[[^\]]+\]):\d*")
_HOST = re.compile(r"\*|\.?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/@\s]+?)(?::(?P<port>\d+))?/?", re.IGNORECASE)
_USUAL = {"http": "80", "https": "443"}


def host(text: str) -> str:
    """As Django compares it: lower case, without port and closing dot, IPv6 in brackets, other
    letters as they go over the wire."""
    if match := _PORT.fullmatch(text):
        text = match["name"]
    try:
        text = f"[{IPv6Address(text.strip('[]'))}]"
    except ValueError:
        text = _on_the_wire(text.lower().rstrip("."))
    return text


def is_host(text: str) -> bool:
    """Whether some request may name it: a host, all of a domain with ``.`` in front, or ``*``."""
    return _HOST.fullmatch(text) is not None


def origin(text: str) -> str:
    """As browsers send it: lower case, no usual port, no slash at the end. Anything else is
    returned unchanged."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return text
    scheme, port = match["scheme"].lower(), match["port"]
    where = match["host"].lower() if "*" in match["host"] else _on_the_wire(match["host"].lower())
    return f"{scheme}://{where}" + (f":{port}" if port and port != _USUAL[scheme] else "")


def amount(text: str) -> Decimal | None:
    """A sum of money above 0 and below a million, ``None`` for anything else."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() and 0 < found < 1_000_000 else None


def beyond_channels(cogo: Mapping[str, Any]) -> str:
    """The line that stops the start if alerts could never be delivered; empty if they can."""
    url = str(cogo["alert_webhook_url"])
    schemes = ("https", "http") if cogo["alert_webhook_private"] else ("https",)
    try:
        fits = not url or (urlsplit(url).scheme.lower() in schemes and bool(urlsplit(url).hostname))
    except ValueError:
        fits = False
    if not fits:
        return "COGO_ALERT_WEBHOOK_URL must be an address that begins with https:// (http:// with COGO_ALERT_WEBHOOK_PRIVATE=true)"
    for one in filter(None, str(cogo["alert_email"]).split(", ")):
        if not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", one):
            return f"COGO_ALERT_EMAIL holds {one[:80]!r}, which is no e-mail address"
    return ""


def _on_the_wire(name: str) -> str:
    if name.isascii():
        return name
    try:
        return ".".join(part.encode("idna").decode() if part else "" for part in name.split("."))
    except UnicodeError:
        return name
