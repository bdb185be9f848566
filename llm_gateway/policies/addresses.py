"""Which addresses a provider may have unless its row admits private ones."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether packets to it leave for the Internet. An IPv6 form that carries an IPv4 address is judged by that address too
    (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and any(address in net for net in _NAT64):
            inner = ip_address(int(address) & 0xFFFF_FFFF)  # type: ignore[assignment]  # 32 bits make an IPv4 address
        if inner is not None:
            return is_public(inner) and not address.is_private
    return address.is_global and not address.is_multicast
