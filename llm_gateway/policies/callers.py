"""Where a client key may be used from, and which addresses share one limit. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def normalized(text: str) -> str:
    """An address or a network as it is stored. Raises ValueError with a sentence."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(
            f"“{text.strip()[:60]}” is no address and no network; write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32."
        ) from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        network = ip_network((mapped, network.prefixlen - 96))
    return str(network)


def admits(networks: Sequence[str], address: str) -> bool:
    """Whether ``address`` lies in one of ``networks``; one that is not known lies in none."""
    try:
        caller = ip_address(address)
    except ValueError:
        return False
    return any(caller in network for network in _parsed(tuple(networks)))


@lru_cache(maxsize=4096)
def subscriber(address: str) -> str:
    """The unit of per-address limits: the address, or for IPv6 its /64 network, which one
    subscriber owns whole."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))


@lru_cache(maxsize=1024)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(one) for one in networks)


def within(networks: Sequence[str], ceiling: Sequence[str]) -> bool:
    """Whether every one of ``networks`` lies in one of ``ceiling``."""
    outer = _parsed(tuple(ceiling))
    return all(any(_inside(one, other) for other in outer) for one in _parsed(tuple(networks)))


def _inside(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    match one, other:
        case (IPv4Network(), IPv4Network()) | (IPv6Network(), IPv6Network()):
            return bool(one.subnet_of(other))  # type: ignore[arg-type]  # of the same kind
    return False
