"""Who sends a request: its client key, and the address it comes from, seen through the proxies that the operator trusts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from llm_gateway.api.refusal import required_key
from llm_gateway.core.errors import PermissionDenied
from llm_gateway.engine.heavy import working_for
from llm_gateway.policies.callers import admits
from llm_gateway.wiring import gateway

from .arrivals import Who

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Longer chains than this are made up.
MOST_HOPS = 20
MOST_SEEN = 4096
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]*)', re.IGNORECASE)
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::\d+)?|(?P<v4>\d+\.\d+\.\d+\.\d+)(?::\d+)?")


class Callers:
    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._trusted: tuple[Network, ...] = tuple(ip_network(one, strict=False) for one in trusted)
        # Of peers that nobody stands behind.
        self._seen: dict[str, tuple[str, bool]] = {}

    def is_shared(self, address: str) -> bool:
        """Whether many callers stand behind an address: a proxy, or this machine."""
        found = parsed(address)
        return found is None or found.is_loopback or self._is_trusted(found)

    def anonymous(self, scope: Mapping[str, Any]) -> Who:
        address, many = self._address(scope)
        return Who(identity=None, address=address, many=many)

    def keyed(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> Who:
        """Raises :class:`Unauthenticated`, or :class:`PermissionDenied` where the key may not be used from this address."""
        identity = gateway().identify(required_key(headers))
        address, many = self._address(scope)
        if identity.addresses and not admits(identity.addresses, address):
            raise PermissionDenied(
                f"This client key may not be used from {address or 'an unknown address'}; ask the operator to add the address to it."
            )
        working_for(identity.client_key_id)
        return Who(identity=identity, address=address, many=many)

    def _address(self, scope: Mapping[str, Any]) -> tuple[str, bool]:
        """The caller's address, empty where it is not known, and whether others share it."""
        client = scope.get("client")
        if client is not None and (seen := self._seen.get(client[0])) is not None:
            return seen
        peer = parsed(client[0]) if client is not None else None
        if client is None or peer is None:
            return "", True
        if not self._is_trusted(peer):
            if len(self._seen) >= MOST_SEEN:
                self._seen.clear()
            seen = self._seen[client[0]] = str(peer), peer.is_loopback
            return seen
        caller = self._behind(peer, scope["headers"])
        return str(caller), self._is_trusted(caller)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _behind(self, peer: Address, sent: Iterable[tuple[bytes, bytes]]) -> Address:
        """The right-most address that no trusted proxy has. Where two headers disagree, or a hop cannot be read, nothing beyond the last
        trusted hop is believed."""
        lines: dict[bytes, list[str]] = {}
        for name, value in sent:
            if name in (b"x-forwarded-for", b"forwarded"):
                lines.setdefault(name, []).append(value.decode("latin-1"))
        chains = []
        if text := ",".join(lines.get(b"x-forwarded-for", ())):
            chains.append(text.split(","))
        if text := ",".join(lines.get(b"forwarded", ())):
            chains.append([hop[1] if (hop := _FOR.search(part)) else "" for part in text.split(",")])
        origins = {self._rightmost(peer, chain) for chain in chains}
        return origins.pop() if len(origins) == 1 else peer

    def _rightmost(self, peer: Address, chain: Sequence[str]) -> Address:
        last = peer
        for text in reversed(chain[-MOST_HOPS:]):
            hop = parsed(text)
            if hop is None:
                return last
            last = hop
            if not self._is_trusted(hop):
                return hop
        return last


@lru_cache(maxsize=4096)
def parsed(text: str) -> Address | None:
    """An address as a socket or a proxy writes it, perhaps with a port; ``None`` for anything else. IPv4 inside IPv6 is IPv4."""
    text = text.strip().strip('"').strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match["v6"] or match["v4"]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
