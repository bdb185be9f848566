"""Which hosts bypass the proxy, according to NO_PROXY. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


def goes_directly(host: str, port: int, no_proxy: Iterable[str]) -> bool:
    """``no_proxy``: names (with all below them), ``.name``, ``*.name``, addresses, networks, each
    perhaps with ``:port``; ``*`` is all. This machine itself never goes through a proxy."""
    bare = host.strip("[]").rstrip(".").lower()
    address = _address(bare)
    if bare == "localhost" or bare.endswith(".localhost") or (address is not None and (address.is_loopback or address.is_unspecified)):
        return True
    return any(_fits(bare, address, port, entry.strip().lower()) for entry in no_proxy)


def _fits(host: str, address: IPv4Address | IPv6Address | None, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    entry, only = _port_of(entry)
    if not entry or (only is not None and only != port):
        return False
    if address is not None:
        try:
            return address in ip_network(entry.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            return False
    name = entry.removeprefix("*").removeprefix(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _port_of(entry: str) -> tuple[str, int | None]:
    """``host:port`` and ``[address]:port`` in two; an IPv6 address without brackets has no port."""
    head, colon, tail = entry.rpartition(":")
    if colon and tail.isdigit() and (":" not in head or head.endswith("]")):
        return head, int(tail)
    return entry, None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
