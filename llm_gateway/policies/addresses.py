"""Which addresses a provider may have. Pure: names are resolved elsewhere, what they resolve to is judged here.

Two questions: may the operator enter this URL (:func:`read_base_url`), and may this address be connected to (:func:`is_public`,
:func:`refusal`). Host names decide nothing; every address they resolve to is judged, at entry and at every connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import msgspec

_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
# Global by the registry, yet no place for a provider: 6to4 relays, AS112, benchmarking leftovers.
_NOT_PROVIDERS = (ip_network("192.88.99.0/24"), ip_network("192.31.196.0/24"), ip_network("192.175.48.0/24"), ip_network("::/96"))
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# What resolvers read as a number, not as a name: 0x7f000001, 2130706433, 127.1, 0177.0.0.1.
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)
_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?", re.ASCII | re.IGNORECASE)


class AddressRefused(ValueError):
    """The message is a sentence for the operator."""


class BaseUrl(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` is the normal form: lower-case scheme and host, no default port, no trailing slash."""

    scheme: str
    host: str
    port: int
    path: str
    text: str

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The host as an address, ``None`` where it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether packets to it leave for the Internet. An IPv6 form that carries an IPv4 address is judged by that address too
    (mapped, 6to4, Teredo, NAT64)."""
    if any(address in net for net in _NOT_PROVIDERS):
        return False
    if isinstance(address, IPv6Address):
        inner = _carried(address)
        if inner is not None:
            return is_public(inner) and not address.is_private
    return address.is_global and not address.is_multicast


def refusal(address: IPv4Address | IPv6Address, *, allow_private: bool) -> str | None:
    """Why a provider may not have this address, ``None`` when it may.

    ``allow_private`` admits loopback and private networks, never what no provider can be: link-local (where clouds keep their
    metadata), multicast, unspecified and reserved addresses, and private ones hidden in an IPv6 form.
    """
    if is_public(address):
        return None
    if not allow_private:
        return "is not on the public Internet; allow private addresses for a host you run yourself"
    bare = address
    if isinstance(address, IPv6Address) and (inner := _carried(address)) is not None:
        if address.ipv4_mapped is None:
            return "hides a private address"
        bare = inner
    if bare.is_unspecified:
        return "names no host"
    if bare.is_link_local:
        return "is link-local, where machines keep their metadata"
    if bare.is_multicast:
        return "is a multicast address"
    if (bare.is_reserved and not bare.is_loopback) or bare == IPv4Address("255.255.255.255"):
        return "is reserved"
    return None


def check_addresses(host: str, addresses: Iterable[str], *, allow_private: bool) -> None:
    """Raises :class:`AddressRefused` unless every address ``host`` resolved to may be connected to."""
    found = [ip_address(text.partition("%")[0]) for text in addresses]
    if not found:
        raise AddressRefused(f"The host {host} has no address.")
    for address in found:
        if reason := refusal(address, allow_private=allow_private):
            raise AddressRefused(f"The host {host} leads to {address}, which {reason}.")


def read_base_url(text: str, *, allow_private: bool) -> BaseUrl:
    """``text`` as a base URL. Raises :class:`AddressRefused` for anything two readers could understand differently.

    https only unless ``allow_private``; an address in the URL itself is judged at once, a name when it is resolved.
    """
    if len(text) > 300 or not all("!" <= character <= "~" for character in text) or "\\" in text:
        raise AddressRefused("A base URL has at most 300 ASCII characters and no spaces; write an international host in its xn-- form.")
    match = _URL.fullmatch(text)
    if match is None:
        raise AddressRefused("A base URL looks like https://host.example/v1, without query or fragment.")
    scheme = match["scheme"].lower()
    if scheme not in ("https", "http"):
        raise AddressRefused(f"A base URL begins with https://, not {scheme}://.")
    if scheme == "http" and not allow_private:
        raise AddressRefused("A base URL begins with https://; plain http is only for hosts you run yourself (allow private addresses).")
    if "@" in match["authority"]:
        raise AddressRefused("A base URL holds no user name or password; store the key as a provider key.")
    host, port = _host_and_port(match["authority"], 443 if scheme == "https" else 80)
    path = (match["path"] or "").rstrip("/")
    if "//" in path or any(part in (".", "..") for part in path.replace("%2e", ".").replace("%2E", ".").split("/")):
        raise AddressRefused("The path of a base URL holds no empty or dotted parts.")
    shown = f"[{host}]" if ":" in host else host
    default = port == (443 if scheme == "https" else 80)
    url = BaseUrl(scheme=scheme, host=host, port=port, path=path, text=f"{scheme}://{shown}{'' if default else f':{port}'}{path}")
    if url.literal is not None:
        check_addresses(host, [host], allow_private=allow_private)
    return url


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?", authority)
    if match is None:
        raise AddressRefused("The host of the base URL cannot be read; write host or host:port, an IPv6 address in brackets.")
    port = int(match[3]) if match[3] is not None else default
    if not 1 <= port <= 65535:
        raise AddressRefused("The port of a base URL is between 1 and 65535.")
    if match[1]:
        try:
            return str(IPv6Address(match[1])), port
        except ValueError:
            raise AddressRefused("The IPv6 address in the base URL is malformed.") from None
    return _name(match[2].lower()), port


def _name(host: str) -> str:
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1] or labels[-2] if len(labels) > 1 else labels[-1]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise AddressRefused("An address in a base URL is written as four decimal numbers, such as 192.0.2.7.") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("The host of the base URL is not a host name; leave out a trailing dot, wildcards and percent signs.")
    return host


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address an IPv6 form carries."""
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and any(address in net for net in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return inner
